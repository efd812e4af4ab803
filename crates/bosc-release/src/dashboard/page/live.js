// Draws anew what changed. The page is whole without it.
'use strict'
const [state, news, main] = ['state', 'news', 'main'].map((id) => document.getElementById(id))
const part = location.pathname === '/' ? '/part' : '/part' + location.pathname
let [seen, busy, again, retry] = [null, false, false, 1000]

function say(text, kind) {
  if (state.textContent !== text) state.textContent = text
  state.className = 'state ' + kind
}

function buttons(root) {
  for (const button of root.querySelectorAll('button[data-copy]')) {
    button.hidden = false
    const command = button.previousElementSibling.textContent
    button.setAttribute('aria-label', 'Copy: ' + command.slice(0, 80))
  }
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]')
  if (!button) return
  const code = button.previousElementSibling
  try {
    await navigator.clipboard.writeText(code.textContent)
    news.textContent = 'Copied'
  } catch {
    // Not over plain HTTP from elsewhere: it is selected instead.
    getSelection().selectAllChildren(code)
    news.textContent = 'Selected: copy it with Ctrl+C'
  }
})

// What was drawn, without what the script or the person changed in it.
const drawn = new Map()
function replace(html) {
  const fresh = new DOMParser().parseFromString('<main>' + html + '</main>', 'text/html').querySelector('main')
  const ids = (root) => [...root.querySelectorAll('[data-part]')].map((s) => s.id).join(' ')
  if (ids(fresh) !== ids(main)) {
    keep(main, fresh)
    drawn.clear()
    for (const section of fresh.querySelectorAll('[data-part]')) drawn.set(section.id, section.outerHTML)
    main.replaceChildren(...fresh.childNodes)
    return buttons(main)
  }
  for (const section of fresh.querySelectorAll('[data-part]')) {
    const old = document.getElementById(section.id)
    if (old === section || drawn.get(section.id) === section.outerHTML) continue
    drawn.set(section.id, section.outerHTML)
    keep(old, section)
    const focus = old.contains(document.activeElement) ? index(old, document.activeElement) : -1
    section.classList.add('new')
    old.replaceWith(section)
    buttons(section)
    if (focus >= 0) focusable(section)[Math.min(focus, focusable(section).length - 1)]?.focus({ preventScroll: true })
  }
}
const focusable = (root) => [...root.querySelectorAll('a, button, summary, [tabindex]')]
const index = (root, element) => focusable(root).indexOf(element)

// What is open stays open, what is closed closed.
function keep(old, fresh) {
  for (const details of old.querySelectorAll('details[id]')) {
    const same = fresh.querySelector('#' + CSS.escape(details.id))
    if (same) same.open = details.open
  }
}

async function refresh() {
  if (busy) return void (again = true)
  busy = true
  try {
    do {
      again = false
      const answer = await fetch(part, { credentials: 'same-origin' })
      if (!answer.ok) throw new Error(String(answer.status))
      replace(await answer.text())
    } while (again)
    say('live', 'live')
  } catch {
    say('the program does not answer: this page is old', 'lost')
  }
  busy = false
}

function listen() {
  const events = new EventSource('/events')
  events.onopen = () => (retry = 1000)
  events.onmessage = (event) => {
    if (event.lastEventId === seen) return say('live', 'live')
    seen = event.lastEventId
    if (event.data) news.textContent = event.data
    refresh()
  }
  events.onerror = () => {
    // A browser that was refused does not ask again by itself.
    events.close()
    seen = null
    say('the program does not answer: this page is old', 'lost')
    setTimeout(listen, retry)
    retry = Math.min(retry * 2, 30000)
  }
}

for (const section of main.querySelectorAll('[data-part]')) drawn.set(section.id, section.outerHTML)
buttons(main)
listen()

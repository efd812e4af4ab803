// Every command in the operator pages is typed here, and must show what the page says. See lib/docs-page.mjs.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { docsDir, readPage, runPage } from '../docs-run.mjs'
import { PageError, missing, parsePage } from '../lib/docs-page.mjs'
import { isStandIn } from '../lib/bosc.mjs'

const timeout = 900_000
const standIn = isStandIn() ? 'the stand-in has no release pipeline' : false
const skip = standIn || (process.platform === 'win32' ? 'the pages are typed into a POSIX shell' : false)
/** Pages with commands. A page that is missing here, and one that has commands and is not here, is an error. */
const PAGES = ['../README.md', 'ten-minutes.md', 'release-lines.md', 'signing-ceremony.md', 'recovery.md', 'ci.md', 'operators.md']

/** Typed at a terminal: see first-app.test.mjs. */
const AT_TERMINALS = ['first-app.md']

test('every page with commands is run', () => {
  const found = fs.readdirSync(docsDir).filter((n) => n.endsWith('.md') && /^\s*```console/m.test(fs.readFileSync(`${docsDir}/${n}`, 'utf8')))
  assert.deepEqual(found.sort(), [...PAGES.filter((name) => !name.startsWith('..')), ...AT_TERMINALS].sort())
  for (const name of [...PAGES, ...AT_TERMINALS]) {
    const page = readPage(name)
    for (const link of fs.readFileSync(`${docsDir}/${name}`, 'utf8').matchAll(/\]\(([^)#\s]*)(?:#([^)]+))?\)/g)) {
      if (/^https?:/.test(link[1])) continue
      const target = path.join(path.dirname(name), link[1] || path.basename(name))
      assert.ok(fs.existsSync(`${docsDir}/${target}`), `${name} links to ${target}`)
      if (!link[2]) continue
      const anchors = [...fs.readFileSync(`${docsDir}/${target}`, 'utf8').matchAll(/^#{2,3} (.+)$/gm)].map((m) => anchor(m[1].trim()))
      assert.ok(anchors.includes(link[2]), `${name} links to ${target}#${link[2]}`)
    }
    assert.ok(page.sections.some((s) => s.steps.some((step) => step.kind === 'console')), name)
  }
})

for (const name of PAGES) {
  test(name, { timeout, skip }, async (t) => {
    const transcript = []
    await runPage(readPage(name), {
      say: (line) => transcript.push(line),
      section: (title, body) => t.test(title, { timeout }, async () => {
        transcript.length = 0
        try {
          await body()
        } catch (err) {
          console.error(transcript.join('\n').slice(-12_000))
          throw err
        }
      })
    })
  })
}

test('the runner finds what is wrong with a page', { timeout: 120_000, skip }, async () => {
  const run = (text) => runPage(parsePage(`<!-- machine: alice -->\n${text}`, 'page'))
  const block = (...lines) => ['```console', ...lines, '```'].join('\n')
  await run(block('$ LINK=$(bosc touch)', '$ echo $LINK', 'pear://...', '$ bosc info nonsense', 'error: ...'))
  await assert.rejects(run(block('$ bosc info nonsense')), /page:3 .*failed with exit code/s)
  await assert.rejects(run(block('$ bosc touch', 'error: ...')), /the page says it is refused/)
  await assert.rejects(run(block('$ echo one', 'two')), /does not show "two"/)
  await assert.rejects(run(block('$ bosc no-such-command')), /no command "no-such-command"/)
  await assert.rejects(run(block('$ bosc info nonsense | tail -n 1')), /failed/)
  await assert.rejects(run('Type `bosc no-such-command LINK` then.'), /no command "no-such-command"/)
  await assert.rejects(run('Type `bosc seed LINK --no-such-flag` then.'), /no such flag --no-such-flag/)
  await assert.rejects(run(block('$ NOTHING=$(true)')), /\$NOTHING is empty/)
  await assert.rejects(run('<!-- test: no-such-check -->'), /no check is called/)
  assert.throws(() => parsePage('```sh\n$ bosc touch\n```'), PageError)
  assert.throws(() => parsePage('```\nbosc touch\n```'), PageError)
  assert.throws(() => parsePage('```console\nnothing typed\n```'), PageError)
  assert.throws(() => parsePage('<!-- machin: alice -->'), PageError)
  assert.throws(() => parsePage('```console\n$ true\n'), PageError)
})

test('what a page shows is found in this order, with gaps', () => {
  const output = 'Staging demo\n+ /a (+1 B)\n+ /b (+2 B)\ndone\n'
  assert.equal(missing(['Staging ...', '...', '+ /b (...)', 'done'], output), null)
  assert.equal(missing([], output), null)
  assert.equal(missing(['done', 'Staging demo'], output), 'Staging demo')
  assert.equal(missing(['Staging'], output), 'Staging')
  assert.equal(missing(['+ /a (+. B)'], output), '+ /a (+. B)')
})

function anchor(title) {
  return title.toLowerCase().replace(/[^\w\s-]/g, '').replace(/\s/g, '-')
}

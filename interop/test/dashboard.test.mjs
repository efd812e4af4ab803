// `bosc dashboard` in a real browser: every view, what changes while it is looked at, names that are attacks, who gets in.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { assertFits, assertSound, browser, fed, open, program, sample } from '../lib/browser.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { sampleApp } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() ? 'a command of bosc alone' : program ? false : 'no Chromium'
const production = 'pear://' + 'n'.repeat(52)
const slug = (link) => link.replace('pear://', '')

/** Waits until `find` is true in the page; asked there ten times a second. */
const until = (page, find, arg) => page.waitForFunction(find, arg, { timeout: 30_000, polling: 100 })
const says = (page, text) => until(page, (text) => document.body.innerText.includes(text), text)

test('every view of 1,000 peers is sound, light and dark, wide and narrow, and small', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const [it, dash] = [await browser(f), await fed(f)]
  dash.show(sample({ peers: 1000 }))
  for (const view of [{}, { dark: true }, { width: 360, height: 740 }]) {
    const page = await open(it, dash.url, view)
    await says(page, 'What needs you')
    assert.equal(new URL(page.url()).search, '', 'the token is gone from the address')
    assert.deepEqual(await page.locator('#lines tbody tr th a').allTextContents(), ['rc', 'prerelease', 'production'])
    assert.match(await page.locator('#lines tbody tr').nth(2).innerText(), /910 of 1000/)
    await assertSound(page)
    await assertFits(page)
    await page.click('#lines a:text-is("production")')
    const heads = ['Next', 'Who has it now', 'Versions over 90 days', 'Releases', 'What an update costs', 'Signatures', 'Rollout and policy', 'Health']
    assert.deepEqual(await page.locator('main h2').allTextContents(), heads)
    assert.match(await page.locator('#costs').innerText(), /2\.3\.1\s+linux-x64\s+640\.0 kB\s+22\.4 MB\s+the signed tree/)
    assert.match(await page.locator('#ceremony').innerText(), /1 of 2 needed signatures for length 70/)
    assert.match(await page.locator('#policy').innerText(), /25 %[\s\S]*fresh/)
    await page.click('#adoption summary')
    assert.equal(await page.locator('#adoption tbody tr').count(), 45)
    await assertSound(page)
    await assertFits(page)
    assert.ok(page.bytes < 2 * 150_000, `${page.bytes} bytes for two pages and all they load`)
    await page.context().close()
  }
})

test('without a script all of it is there; with one, commands are copied and the keyboard is enough', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const [it, dash] = [await browser(f), await fed(f)]
  dash.show(sample({ peers: 12 }))
  const still = await open(it, dash.url, { script: false })
  assert.equal(await still.locator('#lines tbody tr').count(), 3)
  assert.ok((await still.locator('#wanted code').allTextContents()).includes('bosc line promote rc prerelease'))
  assert.equal(await still.locator('button:visible').count(), 0, 'no button that does nothing')
  await still.click('#lines a:text-is("production")')
  assert.equal(await still.locator('#costs tbody tr').count(), 3)

  const page = await open(it, dash.url)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await until(page, () => document.querySelector('#state.live'))
  // From the top by Tab alone: to the content, to a line, to a command.
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  await page.keyboard.press('Enter')
  for (let i = 0; i < 20 && !(await page.evaluate(() => document.activeElement.matches('#wanted [data-copy]'))); i++) await page.keyboard.press('Tab')
  const command = await page.evaluate(() => document.activeElement.previousElementSibling.textContent)
  await page.keyboard.press('Enter')
  await until(page, () => document.querySelector('#news').textContent === 'Copied')
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command)
  // What somebody stands on, and what they opened, stays when the page changes under them.
  await page.goto(new URL(`/line/${slug(production)}`, page.url()).href)
  await until(page, () => document.querySelector('#state.live'))
  await page.click('#release-47 summary')
  await page.focus('#release-47 summary')
  const next = sample({ peers: 13 })
  next.lines[2].releases[0].bytes++
  next.lines[2].releases[0].deleted = 7
  dash.show(next)
  await says(page, '7 deleted')
  assert.ok(await page.evaluate(() => document.querySelector('#release-47').open))
  assert.ok(await page.evaluate(() => document.activeElement.matches('#release-47 summary')))
  assert.equal(await page.locator('#news').textContent(), 'A peer came: production has 13 peers')
  assert.equal(await page.locator('#news').getAttribute('aria-live'), 'polite')
  await assertSound(page)
})

test('names that are markup, scripts, escape codes or endless are text', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const [it, dash] = [await browser(f), await fed(f)]
  const attacks = ['<script>window.hit=1;alert(1)</script>', '<img src=x onerror="window.hit=1">', '"><svg onload=window.hit=1>', "';window.hit=1//",
    '\u202Egnp.exe', '\x1b[31mred\x1b[0m', '</title><script>window.hit=1</script>', '{{7*7}} javascript:window.hit=1', 'x'.repeat(10 << 20)]
  for (const attack of attacks) {
    const all = sample({ peers: 5, text: (t) => (attack.length > 1000 ? t : `${attack}${t}`) })
    // One place of 10 MB is enough.
    if (attack.length > 1000) {
      all.lines[2].version = attack
      all.lines[2].releases[0].notes = attack
    }
    dash.show(all)
    const page = await open(it, dash.url)
    await until(page, () => document.querySelectorAll('#lines tbody tr').length === 3)
    for (const at of ['/', `/line/${slug(production)}`]) {
      await page.goto(new URL(at, page.url()).href)
      await until(page, () => document.querySelector('main h1'))
      assert.equal(await page.evaluate(() => window.hit), undefined, attack.slice(0, 80))
      assert.equal(await page.locator('main script, main img, main style, main iframe').count(), 0)
      assert.ok(!/[\u202a-\u202e\x00-\x08\x1b]/.test(await page.evaluate(() => document.documentElement.textContent)))
      assert.ok((await page.content()).length < 200_000)
    }
    assert.deepEqual(page.wrong, [])
    await page.context().close()
  }
})

/** A request as no browser makes it. */
function ask(url, { host, cookie, origin, method = 'GET' } = {}) {
  const at = new URL(url)
  return new Promise((resolve, reject) => {
    const headers = { host: host ?? at.host, ...(cookie && { cookie }), ...(origin && { origin }) }
    const req = http.request({ host: at.hostname, port: at.port, path: at.pathname + at.search, method, headers }, (res) => {
      res.resume()
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers }))
    })
    req.on('error', reject)
    req.end()
  })
}

test('who gets in: the token once, then the cookie; no other page, no other name, a password for other machines', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const it = await browser(f)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const running = bosc.start('dashboard', link)
  const { url, loopback, password } = await running.until('dashboard')
  assert.deepEqual([loopback, password], [true, false])
  const origin = new URL(url).origin
  const stranger = await open(it, origin + '/', { refused: [403] })
  await says(stranger, 'Not from here')
  await assertSound(stranger)
  const page = await open(it, url)
  await says(page, 'Lines')
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Strict', '/'])
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script reads it')
  const known = `${cookie.name}=${cookie.value}`
  assert.equal((await ask(origin + '/', { cookie: known })).status, 200)
  const port = new URL(url).port
  for (const host of ['attacker.example', `attacker.example:${port}`]) assert.equal((await ask(origin + '/', { cookie: known, host })).status, 403)
  assert.equal((await ask(origin + '/part', { cookie: known, origin: 'http://attacker.example' })).status, 403)
  assert.equal((await ask(url, { method: 'POST' })).status, 405)

  // A page of another origin in the same browser: it reads nothing, frames nothing, runs nothing of it.
  const evil = http.createServer((req, res) => res.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title>'))
  await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve))
  f.later(() => evil.close())
  const other = await page.context().newPage()
  await other.goto(`http://127.0.0.1:${evil.address().port}/`)
  const stolen = await other.evaluate(async (origin) => {
    const read = await fetch(origin + '/snapshot.json', { credentials: 'include' }).then((r) => r.text(), () => 'refused')
    const frame = document.createElement('iframe')
    frame.src = origin + '/'
    document.body.append(frame)
    await new Promise((resolve) => (frame.onload = resolve))
    let seen
    try { seen = frame.contentDocument?.body?.innerText ?? 'refused' } catch { seen = 'refused' }
    return [read, seen]
  }, origin)
  assert.deepEqual(stolen, ['refused', 'refused'])
  assert.equal(await running.stop(), 0)
  await until(page, () => document.querySelector('#state.lost'))

  assertFailed(await bosc.end(['dashboard', link, '--addr', '0.0.0.0:0']), 'ERR_INVALID_INPUT')
  const file = path.join(f.dir, 'password')
  fs.writeFileSync(file, 'correct horse battery\n', { mode: 0o600 })
  const locked = bosc.start('dashboard', link, '--addr', '0.0.0.0:0', '--password-file', file)
  const shown = await locked.until('dashboard')
  assert.deepEqual([shown.loopback, shown.password, new URL(shown.url).search], [false, true, ''])
  const door = await open(it, shown.url, { refused: [401, 403] })
  await assertSound(door)
  await door.fill('#password', 'wrong horse')
  await door.keyboard.press('Enter')
  await says(door, 'That is not the password.')
  await door.fill('#password', 'correct horse battery')
  await door.keyboard.press('Enter')
  await says(door, 'Lines')
  await until(door, () => document.querySelector('#state.live'))
  assert.deepEqual(door.wrong, [])
})

test('live: a peer that joins and a release that is staged are seen without a reload; served by a seeder that runs', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const it = await browser(f)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000, version: '1.0.0', upgrade: link })))
  const seeding = await bosc.seed(link)
  // The seeder has the store: the page is served from there.
  const running = bosc.start('dashboard', link)
  const page = await open(it, (await running.until('dashboard')).url)
  await until(page, () => document.querySelector('#state.live'))
  await says(page, '1.0.0')
  await page.evaluate(() => (window.same = true))
  const peer = f.bosc()
  const following = peer.start('seed', link)
  await until(page, () => /1 of 2 full copies/.test(document.querySelector('#who')?.innerText))
  await bosc.stage(link, f.tree(sampleApp({ size: 1000, version: '1.1.0', upgrade: link })))
  await until(page, () => document.querySelector('#head, #lines').innerText.includes('1.1.0') && document.querySelector('#releases').innerText.includes('1.1.0'))
  await until(page, () => /1\.1\.0\s+1\s+0/.test(document.querySelector('#who').innerText))
  await until(page, () => document.querySelectorAll('#findings li').length > 3)
  assert.ok(await page.evaluate(() => window.same), 'it was not loaded anew')
  await following.stop()
  await until(page, () => /^0 peers/m.test(document.querySelector('#who').innerText))
  await assertSound(page)
  await assertFits(page)
  // A hostile drive, staged as one may be.
  const name = '<img src=x onerror=alert(1)>'
  const tree = sampleApp({ size: 1000, version: '1.2.0', upgrade: link })
  tree['package.json'] = JSON.stringify({ name: 'demo', productName: name, version: '1.2.0', upgrade: link })
  tree['CHANGELOG.md'] = `## 1.2.0\n\n<script>alert(1)</script>\n`
  await bosc.stage(link, f.tree(tree))
  await says(page, '<script>alert(1)</script>')
  assert.deepEqual(page.wrong, [])
  assert.equal(await running.stop(), 0)
  assert.ok(seeding.running)
})

test('the story: init, publish, dashboard, and a follower that updates', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const it = await browser(f)
  const bosc = f.bosc()
  const builds = (text) => ({ hello: { data: `#!/bin/sh\necho ${text}\n`, mode: 0o755 } })
  const dir = f.tree(builds('one'))
  await bosc.ok('init', dir, '--yes', '--name', 'hello', '--version', '1.0.0')
  const { upgrade } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json')))
  await bosc.ok('publish', dir, '--copies', '0')
  const running = bosc.start('dashboard')
  const page = await open(it, (await running.until('dashboard')).url)
  await says(page, '1.0.0')

  const host = `${process.platform}-${process.arch}`
  const out = f.fresh()
  const follower = f.bosc()
  await follower.ok('dump', upgrade, out)
  const { Installed } = await import('../lib/watch.mjs')
  const app = new Installed(f, upgrade, { source: path.join(out, `by-arch/${host}/app/hello`), version: '1.0.0', name: 'hello' })
  const watch = app.watch()
  await until(page, () => /1\.0\.0\s+[01]\s+[01]/.test(document.querySelector('#who')?.innerText))
  fs.writeFileSync(path.join(dir, 'hello'), '#!/bin/sh\necho two\n')
  const json = path.join(dir, 'package.json')
  fs.writeFileSync(json, fs.readFileSync(json, 'utf8').replace('1.0.0', '1.1.0'))
  await bosc.ok('publish', dir, '--copies', '0')
  await watch.until('updated', () => true, { timeout: 60_000 })
  await until(page, () => /1\.1\.0\s+[01]\s+[01]/.test(document.querySelector('#who').innerText))
  await until(page, () => document.querySelector('#releases').innerText.includes('1.1.0'))
  assert.deepEqual(page.wrong, [])
  await assertSound(page)
  await watch.quit()
  assert.equal(await running.stop(), 0)
})

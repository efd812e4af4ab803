// A real Chromium, and what the dashboard's tests ask of every page in it.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { within } from './net.mjs'

const require = createRequire(import.meta.url)
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
export const program = process.env.BOSC_CHROMIUM ?? places.find((p) => fs.existsSync(p))

/** A browser that ends with the test. */
export async function browser(f) {
  // Tests run as root, where Chromium's sandbox does not work; it opens pages of this machine only.
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update']
  const it = await chromium.launch({ executablePath: program, args })
  f.later(() => it.close())
  return it
}

/** A page of `url`, and everything that went wrong in it. `refused`: statuses that the test expects. */
export async function open(it, url, { width = 1100, height = 900, dark = false, script = true, refused = [] } = {}) {
  const colorScheme = dark ? 'dark' : 'light'
  const context = await it.newContext({ viewport: { width, height }, colorScheme, javaScriptEnabled: script, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const origin = new URL(url).origin
  page.wrong = []
  page.bytes = 0
  page.on('console', (m) => {
    const expected = refused.some((status) => m.text().includes(`status of ${status}`))
    if (['error', 'warning'].includes(m.type()) && !expected) page.wrong.push(`console: ${m.text()}`)
  })
  page.on('pageerror', (e) => page.wrong.push(`script: ${e}`))
  page.on('dialog', (d) => (page.wrong.push('a dialog'), d.dismiss()))
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== origin) page.wrong.push(`request elsewhere: ${r.url()}`)
  })
  page.on('response', async (r) => {
    if (!r.url().endsWith('/events')) page.bytes += (await r.body().catch(() => '')).length
  })
  await page.goto(url)
  return page
}

/** Nothing went wrong, and axe-core finds nothing that is serious. */
export async function assertSound(page) {
  assert.deepEqual(page.wrong, [])
  // From outside, as an extension would: the page's own policy lets no other script in.
  await page.evaluate(fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8') + ';0')
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const serious = violations.filter((v) => ['serious', 'critical'].includes(v.impact))
  assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(' | ')}`), [])
  assert.deepEqual(page.wrong, [])
}

/** Nothing is wider than the window. */
export async function assertFits(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${wide} wide in a window of ${window}`)
}

/** The dashboard's page without a store: `show` puts a snapshot on it. */
export async function fed(f) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
  const built = ['release', 'debug'].map((p) => path.join(target, p, 'examples/dashboard')).filter((p) => fs.existsSync(p))
  assert.ok(built.length, 'cargo build -p bosc-release --example dashboard')
  built.sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs)
  const child = spawn(built[0], { stdio: ['pipe', 'pipe', 'inherit'] })
  f.later(() => {
    child.stdin.end()
    return new Promise((resolve) => (child.exitCode === null ? child.on('close', resolve) : resolve()))
  })
  const url = await within(20_000, 'the URL', new Promise((resolve) => child.stdout.once('data', (text) => resolve(String(text).trim()))))
  return { url, pid: child.pid, show: (snapshot) => child.stdin.write(JSON.stringify(snapshot) + '\n') }
}

/** A snapshot with everything in it, of `peers` peers. */
export function sample({ peers = 1000, at = 1_796_040_000, text = (t) => t } = {}) {
  const key = (c) => c.repeat(52)
  const share = (part) => Math.round(peers * part)
  const release = (version, length, notes, files) => ({
    version: text(version), length, bytes: 48_300_000, put: 4, deleted: length === 61 ? 1 : 0, notes: text(notes),
    changes: files.map(([file, bytes, before]) => ({ file: text(file), bytes, before }))
  })
  const releases = [
    release('2.4.0', 61, '## 2.4.0\n\n- Opens large files twice as fast\n- Dark mode', [
      ['/by-arch/linux-x64/app/Hello.AppImage', 22_400_000, 22_100_000], ['/by-arch/win32-x64/app/Hello.msix', 18_900_000, 18_800_000],
      ['/package.json', 412, 412], ['/by-arch/linux-x64/app/old.dat', null, 90_000]
    ]),
    release('2.3.1', 47, '## 2.3.1\n\n- A crash at start is mended', [['/by-arch/linux-x64/app/Hello.AppImage', 22_100_000, 22_100_000]]),
    release('2.3.0', 33, '', [['/by-arch/linux-x64/app/Hello.AppImage', 22_100_000, null]])
  ]
  const day = 86_400
  const adoption = Array.from({ length: 45 }, (_, i) => {
    const n = (from, half, most) => Math.round(most / (1 + Math.exp((from - i) / half)))
    const [two, three, four] = [peers * 0.8, n(12, 2.5, peers * 0.9), n(34, 2.2, peers * 0.93)]
    const versions = [['2.4.0', four], ['2.3.1', Math.max(0, three - four)], ['2.3.0', Math.max(0, Math.round(two) - three)]]
    return { at: at - (44 - i) * day, seeders: 4, versions: versions.map(([v, c]) => [text(v), c]) }
  })
  const finding = (check, level, message, next = null) => ({ check, level, message: text(message), next: next && text(next) })
  const link = (c) => `pear://${key(c)}`
  const line = (over) => ({
    app: text('Hello'), fork: 0, totalBytes: 181_000_000, releaseBytes: 48_300_000, writable: true, announced: true, wanted: 2, examined: at - 240,
    findings: [finding('resolve', 'ok', 'found'), finding('seeders', 'ok', '4 full copies')], ...over
  })
  return {
    program: '0.1.0', at, moreLines: 0,
    lines: [
      line({ name: text('rc'), kind: 'stage', link: link('y'), verlink: `pear://0.70.${key('y')}`, version: text('2.5.0-rc.1'), length: 70, seeders: 2, peers: 6,
        shares: [{ version: text('2.5.0-rc.1'), seeders: 2, followers: 4 }], standing: 'first', releases: releases.slice(0, 1) }),
      line({ name: text('prerelease'), kind: 'provision', source: text('rc'), link: link('b'), verlink: `pear://0.61.${key('b')}`, version: text('2.4.0'), length: 61, seeders: 2,
        peers: 3, shares: [{ version: text('2.4.0'), seeders: 2, followers: 1 }], standing: 'behind',
        next: [{ why: text('rc holds 2.5.0-rc.1, prerelease holds 2.4.0'), command: text('bosc line promote rc prerelease') }],
        findings: [finding('version', 'warn', 'version 2.5.0-rc.1 is a prerelease: it can be followed, but not provisioned', 'stage a version without a suffix before you provision')] }),
      line({ name: text('production'), kind: 'multisig', source: text('prerelease'), link: link('n'), verlink: `pear://0.61.${key('n')}`, version: text('2.4.0'), length: 61,
        writable: false, seeders: 4, peers, releases, moreReleases: 12, standing: 'same', adoption,
        shares: [{ version: text('2.4.0'), seeders: 4, followers: share(0.91) - 4 }, { version: text('2.3.1'), seeders: 0, followers: share(0.07) },
          { version: text('2.3.0'), seeders: 0, followers: peers - share(0.91) - share(0.07) }],
        costs: [['linux-x64', '2.3.1', 640_000, 22_400_000, 'proved'], ['win32-x64', '2.3.1', 410_000, 18_900_000, 'publisher'], ['linux-x64', '2.3.0', 1_900_000, 22_400_000, 'proved']]
          .map(([platform, from, bytes, without, basis]) => ({ platform: text(platform), from: text(from), bytes, without, basis })),
        ceremony: { quorum: 2, length: 70, stage: 'collecting', problems: [], signers: [['a', true], ['o', false], ['e', false]].map(([c, signed]) => ({ key: text(key(c)), signed })) },
        policy: { channel: text('stable'), time: at - 4 * day, minimum: text('2.0.0'), mandatory: false, rollout: 2500, freshness: 14 * day, heard: at - 7200, recall: true,
          operators: [text('on call: refresh, rollout, halt')], said: [{ operator: text('on call'), version: text('2.4.0'), rollout: 10000, halt: null, time: at - 7200 },
            { operator: text('on call'), version: text('2.3.0'), rollout: null, halt: 'halted', time: at - 9 * day }] },
        next: [{ why: text('1 more signature is missing: send this to the signers who have not signed'), command: text(`bosc multisig sign yryk${key('r')} --source ${link('b')}`) }],
        findings: [finding('platforms', 'bad', 'darwin-arm64: Helo.app, but the application is called Hello', 'name the artifact after productName (or name), then build and stage again'),
          finding('seeders', 'ok', '4 full copies'), finding('upgrade', 'ok', 'applications built from it follow this link')] })
    ],
    network: { up: true, nodes: 212, connections: Math.min(peers, 128), relayed: 3, address: '203.0.113.7:49737', receivedBytes: 1, sentBytes: 2,
      nat: { nat: 'consistent', address: '203.0.113.7:49737', samples: 9, reaches: { open: true, consistent: true, random: true }, mapping: null, message: 'behind a router that keeps one port for all peers: direct connections work', next: null } },
    store: { folder: text('/srv/bosc/store'), diskBytes: 412_000_000, liveBytes: 398_000_000, unnamedBytes: 0, pendingBytes: 0 }
  }
}

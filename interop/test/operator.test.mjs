// `bosc seed` for those who run it for others: many links, bounds, metrics, a graceful end. Peers are of both kinds.
import test from 'node:test'
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { assertDump, assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { describe, jsStage, sleep } from '../lib/net.mjs'
import { sampleApp, snapshot } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() ? 'flags of bosc alone' : process.platform === 'win32' ? 'signals' : false

/** Drives of a JavaScript peer, which stays: links and what is in them. */
async function drives(f, sizes) {
  const js = f.js()
  const out = []
  for (const [i, size] of sizes.entries()) {
    const dir = f.tree(sampleApp({ size, version: `1.0.${i}` }))
    const drive = await js.touch()
    await jsStage(drive, dir)
    await js.join(drive)
    out.push({ drive, dir, link: (await describe(drive)).link })
  }
  return { js, list: out }
}

/** The first line of `tag` that is of `link` and satisfies `accept`. */
async function ofLink(p, link, tag, accept = () => true, opts = {}) {
  const find = () => p.lines.find((l) => l.tag === tag && l.link === link && accept(l.data))
  await p.untilLine(tag, () => find() !== undefined, opts)
  return find()
}
const whole = (s) => s.driveSynced && s.blobsSynced

function get(address, at, method = 'GET') {
  const [host, port] = [address.slice(0, address.lastIndexOf(':')), address.slice(address.lastIndexOf(':') + 1)]
  return new Promise((resolve, reject) => {
    const req = http.request({ host, port, path: at, method, timeout: 10_000 }, (res) => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', (text) => (body += text))
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body }))
    })
    req.on('error', reject)
    req.end()
  })
}

/** Prometheus text, read strictly: series by name and labels. */
function samples(text) {
  const [kinds, out] = [new Map(), new Map()]
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE ([a-z_]+) (gauge|counter)$/.exec(line)
    if (type) kinds.set(type[1], type[2])
    if (line.startsWith('# ')) continue
    const sample = /^([a-z_]+)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? (\d+)$/.exec(line)
    assert.ok(sample, line)
    assert.ok(kinds.has(sample[1]), line)
    assert.ok(!out.has(sample[1] + (sample[2] ?? '')), line)
    out.set(sample[1] + (sample[2] ?? ''), Number(sample[3]))
  }
  return out
}

test('links of a file: added and removed on SIGHUP, a bad line stops none, the others are undisturbed', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { list } = await drives(f, [400_000, 300_000, 200_000])
  const [a, b, c] = list
  const file = path.join(f.dir, 'links')
  fs.writeFileSync(file, `# all of ours\n\n${a.link} # the first\nnonsense\n${b.link}\n`)
  const bosc = f.bosc()
  const seeding = bosc.start('seed', '--links', file, '--stats-interval', '50')
  await seeding.until('links', (l) => l.links === 2 && l.bad === 1 && l.added === 2)
  assert.deepEqual(seeding.last('bad-line'), { file, line: 4, text: 'nonsense', why: seeding.last('bad-line').why })
  await ofLink(seeding, a.link, 'stats', whole)
  await ofLink(seeding, b.link, 'stats', whole)
  await ofLink(seeding, a.link, 'announced')
  const peer = (await ofLink(seeding, a.link, 'peer-add')).data

  assert.ok(seeding.lines.every((l) => l.link === undefined || [a.link, b.link].includes(l.link)))

  // b goes, c comes, a is named in another place.
  fs.writeFileSync(file, `${c.link}\n${a.link}\n`)
  const from = seeding.lines.length
  seeding.child.kill('SIGHUP')
  await seeding.until('links', (l) => l.links === 2 && l.added === 1 && l.removed === 1, { from })
  await ofLink(seeding, b.link, 'removed')
  await ofLink(seeding, c.link, 'stats', whole)
  const since = seeding.lines.slice(from)
  assert.ok(!since.some((l) => l.link === a.link && ['seeding', 'peer-remove', 'announced'].includes(l.tag)), seeding.describe())
  assert.ok(peer)

  // A file that is gone takes nothing with it.
  fs.rmSync(file)
  seeding.child.kill('SIGHUP')
  const gone = await seeding.until('links-unreadable')
  assert.equal(gone.file, file)
  const other = f.bosc()
  await assertDump(other, c.link, f.fresh(), snapshot(c.dir))
  assert.equal(await seeding.stop('SIGTERM'), 0)
})

test('seed --links: mistakes are said before anything runs', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc({ bootstrap: [{ host: '127.0.0.1', port: 9 }] })
  for (const args of [['seed'], ['seed', 'pear://x', '--links', 'f'], ['seed', '--links', '-'], ['seed', '--links', path.join(f.dir, 'none')]]) {
    assertFailed(await bosc.end(args), 'ERR_INVALID_INPUT')
  }
  const link = `pear://${'y'.repeat(52)}`
  for (const flags of [['--upload-limit', '10'], ['--max-peers', '0'], ['--metrics', ':80'], ['--max-disk', 'x']]) {
    const p = await bosc.end(['seed', link, ...flags])
    assertFailed(p, 'ERR_INVALID_INPUT')
    assert.equal(p.lines.length, 1, p.describe())
  }
})

test('a seeder with flags of its own does not hand itself over to the owner of the store', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.seed(link)
  const second = await bosc.end(['seed', link, '--max-peers', '5'])
  assertFailed(second, 'ERR_LOCKED')
})

test('--upload-limit holds, and two peers get the same', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const dir = f.tree({ 'package.json': '{"name":"a","version":"1.0.0"}', data: crypto.randomBytes(1_500_000) })
  const { link } = await bosc.touch()
  await bosc.stage(link, dir)
  await bosc.seed(link, '--upload-limit', '400K')
  const started = performance.now()
  const took = await Promise.all(
    [f.bosc(), f.bosc()].map(async (reader, i) => {
      await reader.ok('dump', link, f.fresh(`out${i}`), '--timeout', '60')
      return performance.now() - started
    })
  )
  // 3 MB in all at 400 KiB a second, less what the bucket held. Either may have got blocks from the other.
  assert.ok(Math.max(...took) > (1_500_000 / 409_600 - 0.5) * 1000, `${took}`)
})

test('--max-disk: what does not fit is not fetched, and said; what fits is', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { list } = await drives(f, [3_000_000, 200_000])
  const [large, small] = list
  const file = path.join(f.dir, 'links')
  fs.writeFileSync(file, `${large.link}\n${small.link}\n`)
  const bosc = f.bosc()
  const seeding = bosc.start('seed', '--links', file, '--stats-interval', '50', '--max-disk', '1M')
  const limited = (await ofLink(seeding, large.link, 'disk-limit', (d) => d.neededBytes > 3_000_000)).data
  assert.equal(limited.limitBytes, 1 << 20)
  await ofLink(seeding, small.link, 'stats', whole)
  const held = seeding.lines.filter((l) => l.link === large.link && l.tag === 'stats').at(-1).data
  assert.ok(held.download.totalBytes < 600_000, 'none of its content came')
  assert.equal(held.blobsSynced, false)

  // Without the small one it still does not fit; with more room it does.
  assert.equal(await seeding.stop('SIGTERM'), 0)
  const again = bosc.start('seed', '--links', file, '--stats-interval', '50', '--max-disk', '8M')
  await ofLink(again, large.link, 'stats', whole)
  assert.ok(!again.lines.some((l) => l.tag === 'disk-limit'))
})

test('--max-peers: no more are connected', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 10_000 })))
  const seeding = await bosc.seed(link, '--max-peers', '2')
  const others = []
  for (let i = 0; i < 5; i++) others.push(f.bosc().start('seed', link))
  await Promise.all(others.map((p) => p.until('stats', whole, { timeout: 60_000 })))
  // They fetch from each other, too: all may have it before two of them are at this one.
  await seeding.until('stats', (s) => s.connections === 2, { timeout: 60_000 })
  assert.ok(seeding.all('stats').every((s) => s.connections <= 2), seeding.describe())
})

test('metrics and health over HTTP: strict text, 503 with reasons, then 200', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { list } = await drives(f, [300_000])
  const [a] = list
  const bosc = f.bosc()
  const seeding = bosc.start('seed', a.link, '--metrics', '0', '--stats-interval', '50')
  const { address, loopback } = await seeding.until('metrics')
  assert.match(address, /^127\.0\.0\.1:\d+$/)
  assert.equal(loopback, true)
  await seeding.until('announced')
  await seeding.until('stats', whole)
  const reader = f.bosc()
  await assertDump(reader, a.link, f.fresh(), snapshot(a.dir))
  await sleep(2500)

  const text = await get(address, '/metrics')
  assert.equal(text.status, 200)
  assert.equal(text.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const s = samples(text.body)
  const of = (name) => s.get(`${name}{link="${a.link}"}`)
  assert.equal(of('bosc_link_announced'), 1)
  assert.equal(of('bosc_link_complete'), 1)
  assert.ok(of('bosc_received_bytes_total') > 300_000)
  assert.ok(s.get('bosc_dht_nodes') > 0 && s.get('bosc_dht_up') === 1)
  assert.ok(s.get(`bosc_core_held_bytes{link="${a.link}",core="blobs"}`) > 300_000)
  if (process.platform === 'linux') assert.ok(s.get('process_open_fds') > 3)
  const health = await get(address, '/healthz')
  assert.deepEqual([health.status, health.body], [200, 'ok\n'])
  assert.equal((await get(address, '/healthz', 'HEAD')).body, '')
  assert.equal((await get(address, '/other')).status, 404)
  assert.equal((await get(address, '/metrics', 'DELETE')).status, 405)
  assert.equal(await seeding.stop('SIGTERM'), 0)
  await assert.rejects(get(address, '/healthz'))

  const alone = f.bosc({ bootstrap: [{ host: '127.0.0.1', port: 9 }] })
  const lost = alone.start('seed', a.link, '--metrics', '0')
  const at = (await lost.until('metrics')).address
  await lost.until('offline')
  const ill = await get(at, '/healthz')
  assert.equal(ill.status, 503)
  assert.match(ill.body, /no DHT node answers\n.*not announced yet\n/s)
  const open = f.bosc().start('seed', a.link, '--metrics', '0.0.0.0:0')
  assert.equal((await open.until('metrics')).loopback, false)
})

test('SIGTERM: withdrawn from the DHT, what was begun is sent, exit code 0; a second one ends at once', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 50_000 })))
  const seeding = await bosc.seed(link, '--upload-limit', '2M')
  assert.equal(await seeding.stop('SIGTERM'), 0)
  assert.equal(seeding.lines.at(-1).tag, 'final')
  const reader = f.bosc()
  assertFailed(await reader.end(['dump', link, f.fresh(), '--timeout', '3']), 'ERR_NETWORK_TIMEOUT')

  const again = await bosc.seed(link)
  again.child.kill('SIGTERM')
  again.child.kill('SIGTERM')
  assert.ok([0, 130].includes(await again.exited))
})

test('SIGTERM while a peer reads: what was made for it is sent, in bounded time', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  // Half a second for each.
  const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`f${i}`, crypto.randomBytes(32_000)]))
  await bosc.stage(link, f.tree({ 'package.json': '{"name":"a","version":"1.0.0"}', ...files }))
  const seeding = await bosc.seed(link, '--upload-limit', '64K')
  const reader = f.bosc().start('seed', link, '--stats-interval', '50')
  await reader.until('stats', (s) => s.download.totalBytes > 60_000)
  const told = performance.now()
  const before = reader.last('stats').download.totalBytes
  assert.equal(await seeding.stop('SIGTERM'), 0)
  assert.ok(seeding.ended - told < 9_000, `${seeding.ended - told}`)
  await sleep(500)
  const bytes = reader.last('stats').download.totalBytes - before
  assert.ok(bytes >= 60_000, `${bytes} bytes of those that waited were sent`)
  assert.ok(bytes <= 700_000, `${bytes} bytes: nothing new was begun`)
})

test('systemd is told: ready, alive, stopping', { timeout, skip: skip || (process.platform === 'linux' ? false : 'systemd') }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const socket = path.join(f.dir, 'notify')
  const { execFileSync, spawn } = await import('node:child_process')
  try {
    execFileSync('python3', ['-c', ''])
  } catch {
    return t.skip('no python3 to listen with')
  }
  // Node has no datagram sockets with a path.
  const script = `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1]);print("bound",flush=True)
while True: print(repr(s.recv(999).decode()),flush=True)`
  const listener = spawn('python3', ['-c', script, socket])
  f.later(() => listener.kill('SIGKILL'))
  let heard = ''
  listener.stdout.setEncoding('utf8').on('data', (text) => (heard += text))
  const until = async (what) => {
    for (let i = 0; i < 200 && !heard.includes(what); i++) await sleep(50)
    assert.ok(heard.includes(what), heard)
  }
  await until('bound')
  const told = f.bosc({ store: bosc.store, env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' } })
  const seeding = told.start('seed', link)
  await until('READY=1')
  const before = heard.split('WATCHDOG=1').length
  await sleep(1200)
  assert.ok(heard.split('WATCHDOG=1').length >= before + 3, heard)
  assert.equal(await seeding.stop('SIGTERM'), 0)
  await until('STOPPING=1')
})

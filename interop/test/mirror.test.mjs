// A drive as static files: written by bosc, read from folders and web servers, good and bad, with and without peers.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { assertDump, assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { MirrorServer } from '../lib/mirror-server.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { Installed } from '../lib/watch.mjs'
import { driveSnapshot, noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
/** Nobody is there: a port of this machine that nothing listens on. */
const NOBODY = { bootstrap: [{ host: '127.0.0.1', port: 9 }] }

/** A link with one version, its files, and a mirror of it in a folder. */
async function mirrored(f, spec = sampleApp()) {
  const dir = f.tree(spec)
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  const mirror = f.fresh()
  const done = await author.ok('mirror', link, mirror)
  return { author, link, dir, mirror, done: done.last('final') }
}

async function served(t, dir, options) {
  const server = await new MirrorServer(dir, options).start()
  t.after(() => server.close())
  return server
}

test('a folder and a web server are read without a peer, and only what is new is written', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror, done } = await mirrored(f)
  assert.equal(done.changed, true)
  assert.equal(done.whole, true)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', mirror)
  const server = await served(t, mirror)
  const client = f.bosc(NOBODY)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', server.url)
  assert.ok(server.requests <= 9, JSON.stringify(server.log))

  const again = await author.ok('mirror', link, mirror)
  assert.equal(again.last('final').changed, false)
  assert.equal(again.last('final').objects, 0)

  writeTree(dir, { 'by-arch/linux-x64/app/new': noise(3, 300_000) })
  await author.stage(link, dir)
  const second = await author.ok('mirror', link, mirror)
  assert.ok(second.last('final').bytes < 300_000 + 3 * 10_240 + 2 * 262_144, JSON.stringify(second.last('final')))
  server.clear()
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', server.url)
  assert.ok(server.requests <= 12, JSON.stringify(server.log))
  assert.ok(server.bytes < 300_000 + 3 * 10_240 + 2 * 262_144, String(server.bytes))
})

test('a drive of JavaScript is mirrored, and what is read from the mirror is served to JavaScript', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  await js.join(drive)
  const { link } = await describe(drive)
  const mirror = f.fresh()
  const writer = f.bosc()
  await writer.ok('mirror', link, mirror)
  await js.offline()

  // From the mirror alone, and then to a peer that knows of none.
  const server = await served(t, mirror)
  const seeder = f.bosc().start('seed', link, '--mirror', server.url)
  await seeder.until('announced')
  const reader = f.js()
  const copy = await reader.drive(link)
  await reader.join(copy, { server: false })
  await reader.head(copy, { length: drive.core.length })
  assert.deepEqual(await driveSnapshot(copy), await driveSnapshot(drive))
  assert.ok(server.requests > 0)
  assert.equal(await seeder.stop(), 0)
})

test('a drive that was cut back is followed from its mirror', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f)
  const client = f.bosc(NOBODY)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', mirror)
  const first = (await author.info(link)).length
  writeTree(dir, { 'by-arch/linux-x64/app/gone': noise(5, 100_000) })
  await author.stage(link, dir)
  await author.ok('mirror', link, mirror)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', mirror)
  fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/gone'))
  writeTree(dir, { 'by-arch/linux-x64/app/other': noise(4, 100_000) })
  await author.ok('stage', link, dir, '--truncate', String(first))
  await author.ok('mirror', link, mirror)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', mirror)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', mirror)
})

test('a sparse mirror says what it has', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir } = await mirrored(f)
  writeTree(dir, { 'by-arch/darwin-arm64/app/Demo.app/x': noise(9, 2_000_000) })
  await author.stage(link, dir)
  const sparse = f.fresh()
  const done = await author.ok('mirror', link, sparse, '--only', '/by-arch/linux-x64')
  assert.equal(done.last('final').whole, false)
  const out = f.fresh()
  const got = await f.bosc(NOBODY).ok('dump', link, out, '--mirror', sparse, '--only', '/by-arch/linux-x64')
  assert.match(got.last('mirror-used').sparse, /newest version, only \/by-arch\/linux-x64/)
  assert.deepEqual(fs.readFileSync(path.join(out, 'by-arch/linux-x64/app/Demo')), noise(7, 3_500_000))
})

/** What each kind of bad server is called. */
const BAD = {
  'not-a-mirror': (name, req, res) => (res.writeHead(404).end(), true),
  'web-page': (name, req, res) => (res.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><p>Login'), true),
  busy: (name, req, res) => (res.writeHead(503).end(), true),
  refused: (name, req, res) => (res.writeHead(403).end(), true),
  redirect: (name, req, res) => (res.writeHead(302, { location: 'ftp://example.com/x' }).end(), true),
  damaged: (name, req, res, bytes) => name === 'bosc-mirror' && (res.end(bytes.subarray(0, bytes.length - 7)), true),
  newer: (name, req, res, bytes) => {
    if (name !== 'bosc-mirror') return false
    const newer = Buffer.from(bytes)
    newer[8] = 7
    return res.end(newer), true
  },
  missing: (name, req, res) => name.includes('/d/') && (res.writeHead(404).end(), true),
  'wrong-length': (name, req, res, bytes) => {
    if (!name.includes('/d/')) return false
    res.writeHead(200, { 'content-length': bytes.length })
    // Not before the bytes are on their way: what is cut off before the first one is another fault.
    return res.write(bytes.subarray(0, bytes.length - 9), () => res.destroy()), true
  },
  'too-long': (name, req, res) => {
    if (!name.includes('/d/')) return false
    res.writeHead(200, {})
    const more = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536)));
    }
    res.on('drain', more)
    return more(), true
  },
  'wrong-bytes': (name, req, res, bytes) => {
    if (!name.includes('/d/')) return false
    const wrong = Buffer.from(bytes)
    wrong[wrong.length >> 1] ^= 1
    res.writeHead(200, { 'content-length': wrong.length })
    return res.end(wrong), true
  },
  'wrong-tile': (name, req, res, bytes) => {
    if (!name.includes('/t/')) return false
    const wrong = Buffer.from(bytes)
    wrong[20] ^= 1
    res.writeHead(200, { 'content-length': wrong.length })
    return res.end(wrong), true
  }
}
const KIND = { 'wrong-tile': 'wrong-bytes' }

test('bad servers are told apart, and a good one beside them is enough', { timeout: 300_000 }, async (t) => {
  const f = await fixture(t)
  const { link, dir, mirror } = await mirrored(f, sampleApp({ size: 900_000 }))
  const good = await served(t, mirror)
  for (const [name, mode] of Object.entries(BAD)) {
    await t.test(name, async (t) => {
      const bad = await served(t, mirror, { mode })
      const alone = await f.bosc(NOBODY).start('dump', link, f.fresh(), '--mirror', bad.url, '--timeout', '2')
      assert.notEqual(await alone.exited, 0, alone.describe())
      const store = f.bosc(NOBODY)
      const out = f.fresh()
      const both = store.start('dump', link, out, '--mirror', bad.url, '--mirror', good.url)
      assert.equal(await both.exited, 0, both.describe())
      assert.deepEqual(snapshot(out), snapshot(dir))
      const used = both.all('mirror-used')
      const fault = used.find((u) => u.mirror === bad.url)
      assert.ok(fault.fault === null || fault.fault === (KIND[name] ?? name), JSON.stringify(fault))
      const said = alone.stderr + JSON.stringify(alone.lines)
      assert.ok(said.includes(bad.url), alone.describe())
      // Nothing wrong was kept.
      await store.ok('store', 'check')
    })
  }
})

test('servers and caches that are only weak are good enough', { timeout }, async (t) => {
  const f = await fixture(t)
  const { link, dir, mirror } = await mirrored(f, sampleApp({ size: 900_000 }))
  const weak = {
    'no ranges': { ranges: false },
    'no marks': { etag: false },
    'another range': {
      mode: (name, req, res, bytes) => {
        if (!req.headers.range) return false
        res.writeHead(206, { 'content-length': 10, 'content-range': `bytes 0-9/${bytes.length}` })
        return res.end(bytes.subarray(0, 10)), true
      }
    },
    'wrong bytes in ranges': {
      mode: (name, req, res, bytes) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '')
        if (!range) return false
        const part = Buffer.alloc(Number(range[2]) - Number(range[1]) + 1)
        res.writeHead(206, {
          'content-length': part.length,
          'content-range': `bytes ${range[1]}-${range[2]}/${bytes.length}`
        })
        return res.end(part), true
      }
    }
  }
  for (const [name, options] of Object.entries(weak)) {
    await t.test(name, async (t) => {
      const server = await served(t, mirror, options)
      const out = f.fresh()
      await f.bosc(NOBODY).ok('dump', link, out, '--only', '/by-arch/linux-x64/app/Demo', '--mirror', server.url)
      await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', server.url)
    })
  }
})

test('a server without ranges sends each object once', { timeout }, async (t) => {
  const f = await fixture(t)
  // Far apart in one object: with ranges each is a request of its own.
  const parts = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`by-arch/linux-x64/app/part-${i}`, noise(50 + i, 90_000)]))
  const { author, link, dir, mirror } = await mirrored(f, { ...sampleApp({ size: 1000 }), ...parts })
  const server = await served(t, mirror, { ranges: false })
  const twice = () => {
    const names = server.log.map((r) => r.name).filter((name) => name !== 'bosc-mirror')
    return names.filter((name, at) => names.indexOf(name) !== at)
  }
  const client = f.bosc(NOBODY)
  const some = [0, 9, 21, 33].flatMap((i) => ['--only', `/by-arch/linux-x64/app/part-${i}`])
  await client.ok('dump', link, f.fresh(), ...some, '--mirror', server.url)
  assert.deepEqual(twice(), [], JSON.stringify(server.log))
  writeTree(dir, Object.fromEntries([3, 17, 30].map((i) => [`by-arch/linux-x64/app/part-${i}`, noise(500 + i, 90_000)])))
  await author.stage(link, dir)
  await author.ok('mirror', link, mirror)
  server.clear()
  await client.ok('dump', link, f.fresh(), ...some, '--only', '/by-arch/linux-x64/app/part-3', '--only', '/by-arch/linux-x64/app/part-30', '--mirror', server.url)
  assert.deepEqual(twice(), [], JSON.stringify(server.log))
})

test('without a seeder, a mirror that has everything is enough for the doctor', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f)
  writeTree(dir, sampleApp({ version: '1.0.1', upgrade: link }))
  await author.stage(link, dir)
  await author.ok('mirror', link, mirror)
  const p = await f.bosc(NOBODY).ok('doctor', link, '--mirror', mirror, '--version', '0.1.0', '--timeout', '5')
  const seeders = p.all('finding').find((finding) => finding.check === 'seeders')
  assert.equal(seeders.level, 'warn', p.describe())
  assert.match(seeders.message, /mirrors that have everything: 1/)
  assert.equal(p.last('client').updates, true, p.describe())
  // One that lacks a part is not.
  const sparse = f.fresh()
  writeTree(dir, { 'by-arch/darwin-arm64/app/Demo.app/x': noise(9, 200_000) })
  await author.stage(link, dir)
  await author.ok('mirror', link, sparse, '--only', '/by-arch/linux-x64')
  const q = f.bosc(NOBODY).start('doctor', link, '--mirror', sparse, '--timeout', '5')
  assert.notEqual(await q.exited, 0)
  assert.equal(q.all('finding').find((finding) => finding.check === 'seeders').level, 'bad', q.describe())
})

test('two that write one mirror do not undo each other', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f)
  // All have the same version, from a mirror that nobody changes.
  const source = f.fresh()
  writeTree(dir, { 'by-arch/linux-x64/app/new': noise(3, 3_000_000) })
  await author.stage(link, dir)
  await author.ok('mirror', link, source)
  const runs = [1, 2, 3, 4].map(() => f.bosc(NOBODY).start('mirror', link, mirror, '--mirror', source))
  for (const run of runs) {
    const code = await run.exited
    if (code !== 0) assertFailed(run, 'ERR_LOCKED')
  }
  assert.ok(runs.some((run) => run.code === 0))
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', mirror)
  assert.deepEqual(fs.readdirSync(mirror, { recursive: true }).filter((name) => /part$|lock/.test(name)), [])
})

test('a stale mirror never takes a client back', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f)
  const stale = f.fresh()
  fs.cpSync(mirror, stale, { recursive: true })
  writeTree(dir, { 'by-arch/linux-x64/app/new': 'new' })
  await author.stage(link, dir)
  await author.ok('mirror', link, mirror)
  const client = f.bosc(NOBODY)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', mirror)
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', stale)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', stale, '--mirror', mirror)
  // Nor is a mirror taken back by a store that has less.
  const old = f.bosc(NOBODY)
  const wrote = old.start('mirror', link, mirror, '--mirror', stale)
  assert.notEqual(await wrote.exited, 0)
  assertFailed(wrote, 'ERR_MIRROR')
})

test('the mirror of another drive is told', { timeout }, async (t) => {
  const f = await fixture(t)
  const one = await mirrored(f, sampleApp({ size: 1000 }))
  const other = await mirrored(f, sampleApp({ size: 2000 }))
  const failed = f.bosc(NOBODY).start('dump', one.link, f.fresh(), '--mirror', other.mirror, '--timeout', '2')
  assert.notEqual(await failed.exited, 0)
  assert.match(failed.stderr + JSON.stringify(failed.lines), /another drive/)
})

test('peers and a mirror are used at the same time', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f, sampleApp({ size: 40_000_000 }))
  const seeder = author.start('seed', link)
  await seeder.until('announced')
  const server = await served(t, mirror)
  const client = f.bosc()
  const out = f.fresh()
  const done = await client.ok('dump', link, out, '--mirror', server.url)
  assert.deepEqual(snapshot(out), snapshot(dir))
  const used = done.last('mirror-used')
  t.diagnostic(`${used.bytes} bytes from the mirror in ${used.requests} requests`)
  assert.ok(used.bytes < 44_000_000, 'little came twice')
  assert.equal(await seeder.stop(), 0)
})

test('a seeder keeps a mirror up to date', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f, sampleApp({ size: 100_000 }))
  const kept = f.fresh()
  const seeder = author.start('seed', link, '--mirror-to', kept)
  await seeder.until('mirror-done')
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', kept)
  const follower = f.bosc()
  const second = f.fresh()
  const other = follower.start('seed', link, '--mirror', mirror, '--mirror-to', second)
  await other.until('mirror-done')
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', second)
  assert.equal(await other.stop(), 0)
  assert.equal(await seeder.stop(), 0)
})

test('an application updates from a mirror, with no DHT and no peer', { timeout }, async (t) => {
  const f = await fixture(t)
  const app = `by-arch/${process.platform}-${process.arch}/app/Demo`
  const release = (version, data) => ({ ...sampleApp({ version, size: 1000 }), [app]: { data, mode: 0o755 } })
  const one = noise(1, 3_000_000)
  const { author, link, dir, mirror } = await mirrored(f, release('1.0.0', one))
  const source = f.fresh('old')
  fs.cpSync(path.join(dir, app), source)
  const two = Buffer.concat([one.subarray(0, 1_500_000), noise(77, 100), one.subarray(1_500_000)])
  writeTree(dir, release('1.0.1', two))
  await author.stage(link, dir)
  await author.ok('mirror', link, mirror)
  const server = await served(t, mirror)
  const alone = Object.create(f, { bootstrap: { value: NOBODY.bootstrap } })
  const demo = new Installed(alone, link, { source, version: '1.0.0' })
  const run = demo.watch('--mirror', server.url)
  const updated = await run.until('updated')
  assert.equal(updated.version, '1.0.1')
  assert.ok(server.requests <= 12, JSON.stringify(server.log))
  assert.ok(server.bytes < 3_000_000, `${server.bytes} bytes: what is installed is not fetched`)
  await run.quit()
})

test('kill -9 while a mirror is written leaves the mirror before', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir, mirror } = await mirrored(f, sampleApp({ size: 30_000_000 }))
  const old = snapshot(dir)
  writeTree(dir, { 'by-arch/linux-x64/app/Demo': { data: noise(77, 30_000_000), mode: 0o755 } })
  await author.stage(link, dir)
  let killed = 0
  for (let files = 1; ; files++) {
    const start = count(mirror)
    const run = author.start('mirror', link, mirror)
    while (run.running && count(mirror) < start + 1) await new Promise((resolve) => setImmediate(resolve))
    if (run.running && files < 6) {
      run.child.kill('SIGKILL')
      killed++
    }
    await run.exited
    const head = await f.bosc(NOBODY).ok('info', link, '--mirror', mirror)
    if (run.code === 0) break
    assert.ok(head.last('mirror-used').fault === null, JSON.stringify(head.last('mirror-used')))
    await assertDump(f.bosc(NOBODY), link, f.fresh(), old, '--mirror', mirror)
  }
  assert.ok(killed > 0)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', mirror)
})

function count(dir) {
  return fs.readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile() && !e.name.endsWith('.part')).length
}

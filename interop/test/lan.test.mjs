// Two machines on one cable, without internet and without a DHT: they find each other by multicast DNS, and a listener learns little.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import hypercoreCrypto from 'hypercore-crypto'
import idEncoding from 'hypercore-id-encoding'
import { Bosc, Running, boscCommand, isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { parseLink, waitFor } from '../lib/net.mjs'
import { Sites, cannotMakeSites } from '../lib/sites.mjs'
import { noise, removeDir, snapshot, tempDir, writeTree } from '../lib/tree.mjs'

const skip = isStandIn() ? 'the local network of bosc alone' : cannotMakeSites()
const timeout = 120_000
const EARS = fileURLToPath(new URL('../js/mdns-ears.mjs', import.meta.url))

/** A bridge with nobody on it but these; the DHT node that they are given does not exist. */
async function cable(t) {
  const dir = tempDir('lan')
  const sites = new Sites()
  t.after(async () => {
    await sites.close()
    removeDir(dir)
  })
  const at = (name, site = sites.site('open')) => {
    const bosc = new Bosc({ store: path.join(dir, name), bootstrap: [{ host: '5.9.0.250', port: 49737 }], command: sites.at(site, boscCommand()) })
    fs.mkdirSync(bosc.store)
    t.after(() => bosc.close())
    return bosc
  }
  const app = writeTree(path.join(dir, 'app'), { 'package.json': '{"name":"a","version":"1.0.0"}', data: noise(3, 700_000) })
  const seeder = at('seeder')
  const { link } = await seeder.touch()
  await seeder.stage(link, app)
  return { dir, sites, at, app, seeder, link }
}

/** Hears what is sent to the group, with the bytes of each packet; can say things itself. */
async function ears(sites) {
  const site = sites.site('open')
  const child = sites.start(site, process.execPath, [EARS, site.address], 'pipe')
  const packets = []
  let ready = false
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    const value = JSON.parse(line)
    if (value.ready) ready = true
    else packets.push({ ...value, bytes: Buffer.from(value.bytes, 'hex') })
  })
  await waitFor(() => ready, { what: () => 'ears on the cable' })
  return { packets, site, say: (bytes, times = 1) => child.stdin.write(`${JSON.stringify({ bytes: bytes.toString('hex'), times })}\n`) }
}

test('a seeder and a fetcher on one cable find each other without a DHT, in either order', { timeout, skip }, async (t) => {
  const { dir, at, app, seeder, link } = await cable(t)
  const seed = seeder.start('seed', link, '--lan')
  await seed.until('stats')
  const out = path.join(dir, 'out')
  const dump = await at('b').end(['dump', link, out, '--lan', '--timeout', '20'], { timeout: 60_000 })
  assert.equal(dump.code, 0, dump.describe())
  assert.deepEqual(snapshot(out), snapshot(app))
  await seed.stop()

  // Who waits is there first.
  const late = path.join(dir, 'late')
  const waiting = at('c').end(['dump', link, late, '--lan', '--timeout', '60'], { timeout: 90_000 })
  await new Promise((resolve) => setTimeout(resolve, 2000))
  seeder.start('seed', link, '--lan')
  const second = await waiting
  assert.equal(second.code, 0, second.describe())
  assert.deepEqual(snapshot(late), snapshot(app))
})

test('without --lan they do not, and nothing is sent', { timeout, skip }, async (t) => {
  const { dir, sites, at, seeder, link } = await cable(t)
  const { packets } = await ears(sites)
  const seed = seeder.start('seed', link)
  await seed.until('stats')
  const dump = await at('b').end(['dump', link, path.join(dir, 'out'), '--timeout', '12'], { timeout: 60_000 })
  assertFailed(dump, 'ERR_NO_DHT')
  assert.deepEqual(packets, [])
})

test('who listens on the cable sees that bosc runs, and neither link nor key', { timeout, skip }, async (t) => {
  const { dir, sites, at, seeder, link } = await cable(t)
  const { packets } = await ears(sites)
  const seed = seeder.start('seed', link, '--lan')
  const { whoami, contentKey } = await seed.until('stats', (s) => s.contentKey !== 'pending')
  const dump = await at('b').end(['dump', link, path.join(dir, 'out'), '--lan', '--timeout', '20'], { timeout: 60_000 })
  assert.equal(dump.code, 0, dump.describe())
  await seed.stop()
  const heard = Buffer.concat(packets.map((p) => p.bytes))
  assert.ok(heard.includes('_bosc'), 'the ears work')
  const key = parseLink(link).key
  const secrets = [key, hypercoreCrypto.discoveryKey(key), idEncoding.decode(contentKey), idEncoding.decode(whoami)]
  for (const secret of secrets) {
    assert.ok(!heard.includes(secret.subarray(0, 8)))
    assert.ok(!heard.includes(idEncoding.encode(secret).slice(0, 12)))
  }
  // Announced twice, answered at most once a second, and taken back.
  assert.ok(packets.length < 20, `${packets.length} packets`)
})

test('a flood on the cable makes a seeder send little, and holds up nobody', { timeout, skip }, async (t) => {
  const { dir, sites, at, app, seeder, link } = await cable(t)
  const { packets, site, say } = await ears(sites)
  const seed = seeder.start('seed', link, '--lan')
  await seed.until('stats')
  await waitFor(() => packets.length >= 2, { what: () => 'two announcements' })
  const [{ from, bytes: announcement }] = packets
  const ask = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), Buffer.from('\x05_bosc\x04_udp\x05local\x00', 'latin1'), Buffer.from([0, 12, 0, 1])])
  const before = packets.filter((p) => p.from === from).length
  const start = performance.now()
  say(ask, 20_000)
  say(announcement, 5_000)
  say(Buffer.alloc(1200, 0xff), 5_000)
  const out = path.join(dir, 'out')
  const dump = await at('b').end(['dump', link, out, '--lan', '--timeout', '40'], { timeout: 90_000 })
  assert.equal(dump.code, 0, dump.describe())
  assert.deepEqual(snapshot(out), snapshot(app))
  const seconds = (performance.now() - start) / 1000
  const after = packets.filter((p) => p.from === from).length - before
  assert.ok(after <= seconds + 3, `${after} packets in ${seconds} s`)
  assert.ok(site.address !== from)
})

test('an application on the cable is updated by bosc watch --lan', { timeout, skip }, async (t) => {
  const { dir, sites, seeder, link } = await cable(t)
  const place = `by-arch/${process.platform}-${process.arch}/app/Demo`
  const release = (version, data) => ({ 'package.json': JSON.stringify({ name: 'demo', version, upgrade: link }), [place]: { data, mode: 0o755 } })
  const two = noise(22, 300_000)
  await seeder.stage(link, writeTree(path.join(dir, 'two'), release('1.0.1', two)), '--purge')
  const seed = seeder.start('seed', link, '--lan')
  await seed.until('stats')
  const installed = path.join(dir, 'installed')
  fs.mkdirSync(installed)
  const app = path.join(installed, 'Demo')
  fs.writeFileSync(app, noise(21, 300_000), { mode: 0o755 })
  const args = ['--json', '--bootstrap', '5.9.0.250:49737', '--lan', 'watch', '--upgrade', link, '--app', app, '--name', 'Demo']
  args.push('--version', '1.0.0', '--dir', path.join(dir, 'data'), '--delay', '0')
  const run = new Running(args, { stdin: 'pipe', command: sites.at(sites.site('open'), boscCommand()) })
  t.after(() => run.stop('SIGKILL'))
  const updated = await run.until('updated')
  assert.equal(updated.version, '1.0.1')
  run.child.stdin.write('apply\n')
  await run.until('applied')
  assert.ok(fs.readFileSync(app).equals(two))
})

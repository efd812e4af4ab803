// Blind peers: npm blind-peer keeps what `bosc seed --blind-peer` asks for, `bosc blind-peer` keeps what npm blind-peering and bosc ask
// for; what it may cost is bounded.
import test from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import path from 'node:path'
import readline from 'node:readline'
import b4a from 'b4a'
import BlindPeering from 'blind-peering'
import BlindPeerMuxer from 'blind-peer-muxer'
import DHT from 'hyperdht'
import idEncoding from 'hypercore-id-encoding'
import crypto from 'hypercore-crypto'
import Protomux from 'protomux'
import { isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { jsStage, waitFor } from '../lib/net.mjs'
import { noise, snapshot } from '../lib/tree.mjs'

const skip = isStandIn() ? 'blind peers of bosc alone' : false
const timeout = 120_000
const JS_BLIND_PEER = fileURLToPath(new URL('../js/blind-peer.mjs', import.meta.url))
const FILES = { 'package.json': '{"name":"a","version":"1.0.0"}', 'data/big': noise(11, 400_000), 'data/small': 'hello' }

/** A blind peer of npm in a process of its own, in a store that stays. */
async function jsBlindPeer(f, trusted = []) {
  const { host, port } = f.bootstrap[0]
  const args = [JS_BLIND_PEER, `${host}:${port}`, path.join(f.dir, 'blind'), ...trusted]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  f.later(() => child.kill('SIGKILL'))
  const lines = []
  readline.createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  await waitFor(() => lines.length > 0, { what: () => 'a key of the blind peer' })
  return { key: lines[0].key, lines, kill: () => child.kill('SIGKILL') }
}

async function boscBlindPeer(f, flags = ['--public'], options = {}) {
  const bosc = f.bosc(options)
  const running = bosc.start('blind-peer', ...flags, '--stats-interval', 100)
  const { key } = await running.until('keeping')
  await running.until('announced')
  return { bosc, running, key }
}

/** A seeder's link and its `whoami`, before anybody was asked to keep it. */
async function staged(f, files = FILES) {
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const dir = f.tree(files)
  await bosc.stage(link, dir)
  const first = bosc.start('seed', link)
  const { whoami } = await first.until('stats')
  await first.stop()
  return { bosc, link, dir, whoami }
}

/** Somebody new gets all of it. */
async function assertArrives(f, link, dir) {
  const out = f.fresh()
  await f.bosc().dump(link, out)
  assert.deepEqual(snapshot(out), snapshot(dir))
}

test('npm blind-peer keeps a link for bosc, and serves it when the seeder is gone', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link, dir, whoami } = await staged(f)
  const blind = await jsBlindPeer(f, [whoami])
  const seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole' && b.key === blind.key)
  const asked = blind.lines.filter((l) => l.core)
  assert.ok(asked.length >= 2 && asked.every((l) => l.announce && l.client === whoami), JSON.stringify(asked))
  await seed.stop('SIGKILL')
  await assertArrives(f, link, dir)
})

test('npm blind-peer that does not trust the seeder keeps it all the same, and is asked to announce in vain', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link, whoami } = await staged(f)
  const blind = await jsBlindPeer(f)
  const seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  assert.ok(blind.lines.filter((l) => l.core).every((l) => !l.announce && l.client === whoami))
})

test('bosc blind-peer keeps a link for bosc, with its next version, also after both were killed', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link, dir, whoami } = await staged(f)
  let blind = await boscBlindPeer(f, ['--allow', whoami])
  const store = blind.bosc.store
  let seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  assert.deepEqual(blind.running.all('add').map((a) => [a.client, a.announce]), [[whoami, true], [whoami, true]])
  // What it said to have is there after a loss of power; what it has not said yet may come again.
  for (const { core } of blind.running.all('add')) await blind.running.until('whole', (w) => w.core === core)
  await seed.stop('SIGKILL')
  await blind.running.stop('SIGKILL')
  blind = await boscBlindPeer(f, ['--allow', whoami], { store })
  assert.equal(blind.running.last('keeping').cores, 2)
  await assertArrives(f, link, dir)

  const next = f.tree({ ...FILES, 'data/new': noise(12, 100_000) })
  await bosc.stage(link, next)
  seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  await seed.stop()
  await assertArrives(f, link, next)
})

test('a version that is staged while the blind peer is connected reaches it at once', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link, whoami } = await staged(f)
  const blind = await boscBlindPeer(f, ['--allow', whoami])
  const seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  const from = seed.lines.length
  const next = f.tree({ ...FILES, 'data/new': noise(12, 100_000) })
  await bosc.stage(link, next)
  await seed.until('peer-sync', undefined, { from })
  await seed.stop('SIGKILL')
  await assertArrives(f, link, next)
})

test('bosc blind-peer keeps the cores of npm blind-peering, for JavaScript and bosc', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const blind = await boscBlindPeer(f)
  const js = f.js()
  const drive = await js.touch()
  const dir = f.tree(FILES)
  await jsStage(drive, dir)
  const peering = new BlindPeering(js.swarm.dht, js.store, { keys: [blind.key] })
  f.later(() => peering.close())
  await peering.addCore(drive.core)
  await peering.addCore((await drive.getBlobs()).core)
  const keys = [drive.key, (await drive.getBlobs()).core.key].map((k) => idEncoding.encode(k))
  for (const key of keys) await blind.running.until('whole', (w) => w.core === key)
  assert.ok(blind.running.all('add').every((a) => !a.announce), 'strangers are not announced')
  await peering.close()
  await js.offline()

  // Who is not announced is found by those who connect to the blind peer for its own sake.
  const other = f.js()
  const copy = await other.drive(idEncoding.encode(drive.key))
  other.swarm.joinPeer(idEncoding.decode(blind.key))
  await other.head(copy, { length: drive.core.length })
  await other.fetchAll(copy)
  assert.equal(b4a.toString(await copy.get('/data/small')), 'hello')
})

test('bosc blind-peer: who is not allowed is refused, and told', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link } = await staged(f)
  const blind = await boscBlindPeer(f, ['--allow', 'y'.repeat(52)])
  const seed = bosc.start('seed', link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'refused')
  assert.deepEqual(blind.running.all('add'), [])
  assert.equal(await blind.running.stop(), 0, blind.running.describe())
})

test('bosc blind-peer: flags that cannot be meant', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const nobody = await bosc.end(['blind-peer'])
  assertFailed(nobody, 'ERR_INVALID_INPUT')
  assert.match(nobody.last('error').hint, /--allow KEY.*--public/)
  assertFailed(await bosc.end(['blind-peer', '--allow', 'nonsense']), 'ERR_INVALID_INPUT')
  const { link } = await bosc.touch()
  assertFailed(await bosc.end(['seed', link, '--blind-peer', 'nonsense']), 'ERR_INVALID_INPUT')
})

test('bosc blind-peer: a drive that does not fit is not fetched, the next one that fits is', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const large = await staged(f)
  const small = await staged(f, { 'package.json': '{"name":"b","version":"1.0.0"}', small: noise(13, 50_000) })
  const blind = await boscBlindPeer(f, ['--allow', large.whoami, '--allow', small.whoami, '--max-disk', '200K'])
  large.bosc.start('seed', large.link, '--blind-peer', blind.key)
  await blind.running.until('stats', (s) => s.waiting > 0)
  const seed = small.bosc.start('seed', small.link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  const stats = await blind.running.until('stats', (s) => s.bytes > 50_000)
  assert.ok(stats.bytes <= 200 << 10 && stats.waiting === 1, JSON.stringify(stats))
})

test('bosc blind-peer: as many cores as it may keep, and no more', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const one = await staged(f)
  const two = await staged(f)
  const blind = await boscBlindPeer(f, ['--allow', one.whoami, '--allow', two.whoami, '--max-cores', '2'])
  const seed = one.bosc.start('seed', one.link, '--blind-peer', blind.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
  two.bosc.start('seed', two.link, '--blind-peer', blind.key)
  await blind.running.until('full', (full) => full.client === two.whoami)
  assert.equal(blind.running.all('add').length, 2)
})

test('bosc blind-peer offers what it keeps to nobody who does not know it, but for what it announces', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  for (const announced of [false, true]) {
    const { bosc, link, whoami } = await staged(f)
    const blind = await boscBlindPeer(f, announced ? ['--allow', whoami] : ['--public'])
    const seed = bosc.start('seed', link, '--blind-peer', blind.key)
    await seed.until('blind-peer', (b) => b.state === 'whole')
    const dht = new DHT({ bootstrap: f.bootstrap })
    f.later(() => dht.destroy())
    const socket = dht.connect(idEncoding.decode(blind.key))
    socket.on('error', () => {})
    await once(socket, 'open')
    const mux = Protomux.from(socket)
    const offered = []
    mux.pair({ protocol: 'hypercore/alpha' }, (id) => offered.push(id))
    // The answer to a channel of ours, open or closed, comes after all that it had to offer at the start.
    const channel = new BlindPeerMuxer(socket)
    await channel.channel.fullyOpened()
    assert.equal(offered.length, announced ? 2 : 0)
    socket.destroy()
  }
})

test('clients that ask for too much lose their channel, and the others are served', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const blind = await boscBlindPeer(f, ['--public', '--max-cores', '40'])
  const attack = async (work) => {
    const dht = new DHT({ bootstrap: f.bootstrap, keyPair: crypto.keyPair() })
    f.later(() => dht.destroy())
    const socket = dht.connect(idEncoding.decode(blind.key))
    socket.on('error', () => {})
    await once(socket, 'open')
    let closed = false
    const channel = new BlindPeerMuxer(socket, { onclose: () => (closed = true) })
    await channel.channel.fullyOpened()
    work(channel)
    return { closed: () => closed, socket }
  }
  const core = () => ({ key: crypto.randomBytes(32), length: 1 << 30 })
  const many = await attack((c) => {
    for (let n = 0; n < 30; n++) c.addCores({ priority: 9, announce: true, referrer: null, cores: Array.from({ length: 200 }, core) })
  })
  await waitFor(many.closed, { what: () => 'the end of a channel on which 6,000 cores are asked for' })
  const large = await attack((c) => c.addCores({ priority: 0, announce: false, referrer: null, cores: Array.from({ length: 300 }, core) }))
  await waitFor(large.closed, { what: () => 'the end of a channel with a message of 300 cores' })
  const garbage = await attack((c) => c.channel.messages[0].send({ priority: 0, cores: { length: 0 } }) && c.channel._mux.stream.write(b4a.alloc(3)))
  garbage.socket.destroy()
  assert.ok(blind.running.all('add').length <= 10, 'a quarter of 40 for one network')

  const { bosc, link, whoami } = await staged(f)
  await blind.running.stop()
  const again = await boscBlindPeer(f, ['--public', '--max-cores', '40', '--allow', whoami], { store: blind.bosc.store })
  const seed = bosc.start('seed', link, '--blind-peer', again.key)
  await seed.until('blind-peer', (b) => b.state === 'whole')
})

test('doctor says whether a blind peer is reached, what it keeps, and what to do', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { bosc, link, whoami } = await staged(f)
  const blind = await boscBlindPeer(f, ['--allow', whoami])
  const seed = bosc.start('seed', link)
  await seed.until('announced')
  const other = f.bosc()
  const found = async () => {
    const said = await other.end(['doctor', link, '--timeout', '10', '--blind-peer', blind.key])
    return said.all('finding').filter((l) => l.check === 'blind-peer')
  }
  const [not] = await found()
  assert.equal(not.level, 'warn')
  assert.match(not.message, /reached, and does not keep the link/)
  assert.ok(not.next.includes(`bosc seed ${link} --blind-peer ${blind.key}`), not.next)
  assert.ok(!blind.running.all('add').length, 'doctor asks for nothing')

  await seed.stop()
  let keeping = bosc.start('seed', link, '--blind-peer', blind.key)
  await keeping.until('blind-peer', (b) => b.state === 'whole')
  const [whole] = await found()
  assert.equal(whole.level, 'ok', JSON.stringify(whole))
  assert.match(whole.message, /keeps the link up to length \d+$/)
  assert.equal(whole.next, null)

  await keeping.stop()
  await blind.running.stop('SIGKILL')
  keeping = bosc.start('seed', link)
  await keeping.until('announced')
  const [away] = await found()
  assert.equal(away.level, 'warn')
  assert.match(away.message, /was not reached/)
  assert.ok(away.next)
})

// What operators say reaches clients over a plain web server: no DHT, no peer. Statements are made by JavaScript.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { fixture } from '../lib/fixture.mjs'
import { MirrorServer } from '../lib/mirror-server.mjs'
import { parseLink, waitFor } from '../lib/net.mjs'
import { Operator, decodeStatements, encodeStatements } from '../lib/statements.mjs'
import { noise, sampleApp, writeTree } from '../lib/tree.mjs'
import { Installed } from '../lib/watch.mjs'

const timeout = 180_000
const app = `by-arch/${process.platform}-${process.arch}/app/Demo`
const FILE = 'bosc-statements'
const now = () => Math.floor(Date.now() / 1000)

/** A link with 1.0.0, an operator, a mirror on a web server, and clients that reach nothing else. */
async function world(t, policy = {}) {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  const operator = new Operator(parseLink(link).key)
  const dir = f.tree({})
  const mirror = f.fresh('mirror')
  const server = await new MirrorServer(mirror).start()
  t.after(() => server.close())
  const w = { f, author, link, operator, dir, mirror, server }
  w.release = async (version, data, more = policy) => {
    const may = ['refresh', 'rollout', 'halt', 'recall']
    const rules = { schema: 1, operators: [{ key: operator.key, may }], ...more }
    const spec = { ...sampleApp({ version, size: 1000 }), 'release.json': JSON.stringify(rules) }
    writeTree(dir, { ...spec, [app]: { data, mode: 0o755 } })
    await author.stage(link, dir)
    return author.info(link)
  }
  w.mirrors = async () => (await author.ok('mirror', link, mirror)).last('final')
  const alone = Object.create(f, { bootstrap: { value: [{ host: '127.0.0.1', port: 9 }] } })
  await w.release('1.0.0', noise(1, 200_000))
  const source = f.fresh('old')
  fs.cpSync(path.join(dir, app), source)
  w.installed = new Installed(alone, link, { source, version: '1.0.0' })
  w.watch = (...flags) => w.installed.watch('--mirror', server.url, ...flags)
  w.seen = () =>
    fs.existsSync(w.installed.dir) && fs.readdirSync(w.installed.dir, { recursive: true }).some((name) => name.endsWith('p2p.statements'))
  return w
}

test('a mirror carries the very bytes that the operator put into the DHT, and newer ones alone replace them', { timeout }, async (t) => {
  const w = await world(t)
  const dht = w.f.js().swarm.dht
  assert.equal((await w.mirrors()).statements, 0)
  assert.ok(!fs.existsSync(path.join(w.mirror, FILE)), 'nothing is written for nothing')
  const first = await w.operator.puts(dht, { versions: { '1.0.1': { percent: 10 } } })
  const done = await w.mirrors()
  assert.deepEqual([done.changed, done.statements, done.statementsChanged], [false, 1, true])
  assert.deepEqual(decodeStatements(fs.readFileSync(path.join(w.mirror, FILE))), [first])
  // A counter above what the DHT has stands there already: it stays.
  const later = w.operator.says({ counter: 9, versions: { '1.0.1': { halt: 'halted' } } })
  fs.writeFileSync(path.join(w.mirror, FILE), encodeStatements([later]))
  assert.deepEqual((await w.mirrors()).statementsChanged, false)
  assert.deepEqual(decodeStatements(fs.readFileSync(path.join(w.mirror, FILE))), [later])
})

test('with UDP blocked a halt on a web server is obeyed, and what was seen is kept', { timeout }, async (t) => {
  const w = await world(t)
  await w.release('1.0.1', noise(2, 200_000))
  await w.mirrors()
  const say = (said) => fs.writeFileSync(path.join(w.mirror, FILE), encodeStatements([w.operator.says(said)]))
  say({ versions: { '1.0.1': { halt: 'halted' } } })
  let run = w.watch()
  // What is seen is kept before anything follows from it.
  await waitFor(w.seen, { what: () => run.describe() })
  await run.quit()
  assert.equal(run.last('updated'), undefined, run.describe())
  assert.equal(run.last('updating'), undefined, run.describe())
  say({ versions: { '1.0.1': { halt: 'lifted' } } })
  run = w.watch()
  assert.equal((await run.until('updated')).version, '1.0.1')
  await run.quit()
})

test('with UDP blocked a freeze is noticed: what is newest has to be said', { timeout }, async (t) => {
  const w = await world(t, { time: now() - 10_000, freshness: 3_600 })
  const { fork, length } = await w.release('1.0.1', noise(2, 200_000))
  await w.mirrors()
  // A word that says nothing of the newest: it is kept, and nothing is installed.
  const say = (said) => fs.writeFileSync(path.join(w.mirror, FILE), encodeStatements([w.operator.says(said)]))
  say({ versions: { '1.0.0': { percent: 100 } } })
  let run = w.watch()
  await waitFor(w.seen, { what: () => run.describe() })
  await run.quit()
  assert.equal(run.last('updating'), undefined, run.describe())
  say({ newest: { fork, length, treeHash: Buffer.alloc(32) } })
  run = w.watch()
  assert.equal((await run.until('updated')).version, '1.0.1')
  await run.quit()
})

test('mirrors that the signed policy names are used without asking', { timeout }, async (t) => {
  const w = await world(t)
  await w.release('1.0.1', noise(2, 200_000), { mirrors: ['https://127.0.0.1:9/none', w.server.url] })
  await w.mirrors()
  // Once with a peer: the policy comes with the release.
  const seeder = w.author.start('seed', w.link)
  await seeder.until('announced')
  const online = Object.create(w.installed, { f: { value: w.f } })
  let run = online.watch()
  assert.equal((await run.until('updated')).version, '1.0.1')
  await run.quit()
  await seeder.stop()
  w.server.clear()
  await w.release('1.0.2', noise(3, 200_000))
  await w.mirrors()
  // Then without any, and without --mirror.
  w.installed.version = '1.0.1'
  run = w.installed.watch()
  assert.equal((await run.until('updated')).version, '1.0.2')
  assert.ok(w.server.requests > 0)
  await run.quit()
  // A command likewise.
  const reader = w.f.bosc()
  const peer = w.author.start('seed', w.link)
  await peer.until('announced')
  await w.release('1.0.3', noise(4, 200_000), { mirrors: [w.server.url] })
  await reader.ok('dump', w.link, w.f.fresh())
  await peer.stop()
  await w.release('1.0.4', noise(5, 200_000))
  await w.mirrors()
  const again = w.f.bosc({ store: reader.store, bootstrap: [{ host: '127.0.0.1', port: 9 }] })
  const out = w.f.fresh()
  await again.ok('dump', w.link, out)
  assert.match(fs.readFileSync(path.join(out, 'package.json'), 'utf8'), /1\.0\.4/)
})

test('a seeder keeps what operators say on its mirror up to date', { timeout }, async (t) => {
  const w = await world(t)
  const dht = w.f.js().swarm.dht
  const seeder = w.author.start('seed', w.link, '--mirror-to', w.mirror)
  await seeder.until('mirror-done')
  const said = await w.operator.puts(dht, { versions: { '1.0.1': { halt: 'halted' } } })
  const file = path.join(w.mirror, FILE)
  await waitFor(() => fs.existsSync(file), { timeout: 120_000, what: () => seeder.describe() })
  assert.deepEqual(decodeStatements(fs.readFileSync(file)), [said])
  assert.equal(await seeder.stop(), 0)
})

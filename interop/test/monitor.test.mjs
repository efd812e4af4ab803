// What is seen of a link is kept and compared: `log`, `monitor`, and `versions` where contents are gone. Statements are JavaScript's.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { MirrorServer } from '../lib/mirror-server.mjs'
import { parseLink } from '../lib/net.mjs'
import { Operator, encodeStatements } from '../lib/statements.mjs'
import { noise, sampleApp, writeTree } from '../lib/tree.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'the stand-in has no such command' : false
const NOBODY = { bootstrap: [{ host: '127.0.0.1', port: 9 }] }

/** A link with an operator; `release` stages a version with a policy. */
async function world(t) {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  const operator = new Operator(parseLink(link).key)
  const dir = f.tree({})
  const release = async (version, data, policy = {}, bosc = author) => {
    const rules = { schema: 1, operators: [{ key: operator.key, name: 'night shift', may: ['halt', 'rollout'] }], ...policy }
    writeTree(dir, { ...sampleApp({ version, size: 10_000 }), 'release.json': JSON.stringify(rules), 'data.bin': noise(data, 50_000) })
    return bosc.stage(link, dir)
  }
  return { f, author, link, operator, dir, release }
}

test('log tells every release, who signed the newest, what changed and what operators say', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1, { time: 1_700_000_000 })
  await w.release('1.0.1', 2, { time: 1_700_000_100 })
  const v2 = await w.release('1.0.1', 3, { time: 1_700_000_200 })
  await w.operator.puts(w.f.js().swarm.dht, { versions: { '1.0.1': { percent: 25, halt: 'halted' } } })
  const log = await w.author.ok('log', w.link)
  const [newest, oldest] = log.all('release')
  assert.equal(log.all('release').length, 2, 'two stages of one SemVer are one release')
  assert.deepEqual([newest.version, newest.length, newest.time], ['1.0.1', v2.version, 1_700_000_200])
  assert.ok((await w.author.info(w.link)).hashlink.endsWith(newest.hash))
  assert.equal(newest.signers.length, 1)
  assert.deepEqual(log.last('final').signers, newest.signers)
  assert.equal(oldest.signers, null, 'its signature is not kept')
  assert.deepEqual([oldest.version, oldest.added, oldest.files], ['1.0.0', oldest.files, oldest.files])
  assert.ok(newest.changed >= 2 && newest.removed === 0 && newest.newBytes >= 50_000, JSON.stringify(newest))
  const said = log.last('statement')
  assert.deepEqual([said.name, said.counter], ['night shift', 1])
  assert.deepEqual(said.versions, [{ version: '1.0.1', hundredths: 2500, halt: 'halted' }])
  // A reader elsewhere computes the same.
  const mirror = w.f.fresh()
  await w.author.ok('mirror', w.link, mirror)
  const elsewhere = await w.f.bosc(NOBODY).ok('log', w.link, '--mirror', mirror)
  const plain = ({ version, length, hash, verlink }) => ({ version, length, hash, verlink })
  assert.deepEqual(elsewhere.all('release').map(plain), log.all('release').map(plain))
  assert.deepEqual(elsewhere.last('statement'), said)
})

test('what is wrong with a file of statements is told apart', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1)
  const mirror = w.f.fresh('mirror')
  await w.author.ok('mirror', w.link, mirror)
  const file = path.join(mirror, 'bosc-statements')
  const good = encodeStatements([w.operator.says({ versions: { '1.0.0': { halt: 'halted' } } })])
  fs.writeFileSync(file, good)
  let answer = () => false
  const server = await new MirrorServer(mirror, { mode: (name, req, res) => name === 'bosc-statements' && answer(res) }).start()
  t.after(() => server.close())
  const reader = w.f.bosc(NOBODY)
  const log = () => reader.ok('log', w.link, '--mirror', server.url)
  assert.equal((await log()).all('statement').length, 1)
  const newer = Buffer.from(good)
  newer[8] = 2
  const faults = {
    'web-page': (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><p>Log in'),
    'too-long': (res) => res.writeHead(200).end(Buffer.alloc(100_000)),
    'wrong-bytes': (res) => res.end('nothing of the kind'),
    busy: (res) => res.writeHead(503).end(),
    refused: (res) => res.writeHead(403).end(),
    damaged: (res) => res.end(good.subarray(0, good.length - 3)),
    newer: (res) => res.end(newer)
  }
  for (const [fault, answers] of Object.entries(faults)) {
    answer = (res) => (answers(res), true)
    const seen = await log()
    assert.equal(seen.last('statements-fault')?.fault, fault)
    assert.equal(seen.all('release').length, 1, 'it stops nothing')
    assert.equal(seen.all('statement').length, 0)
  }
  answer = (res) => (res.writeHead(404).end(), true)
  assert.equal((await log()).last('statements-fault'), undefined, 'that there is none is no fault')
})

test('versions says where a package.json is gone', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1)
  await w.release('1.0.1', 2)
  await w.release('1.0.2', 3)
  // A mirror that has nothing of older versions, and nobody else.
  const mirror = w.f.fresh('mirror')
  await w.author.ok('mirror', w.link, mirror, '--newest')
  const reader = w.f.bosc(NOBODY)
  await reader.ok('dump', w.link, w.f.fresh(), '--mirror', mirror)
  const lines = (await reader.ok('versions', w.link, '--timeout', '2')).all('version')
  assert.deepEqual(lines.map((v) => [v.semver, v.gone]).at(-1), ['1.0.2', false])
  assert.ok(lines.some((v) => v.gone && v.semver === null), JSON.stringify(lines))
  const log = (await reader.ok('log', w.link, '--mirror', mirror, '--timeout', '2')).all('release')
  assert.deepEqual(log.map((r) => [r.version, r.gone]), [['1.0.2', false], [null, true], [null, true]])
})

test('a monitor records what it sees, survives a kill, and finds a contradiction', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1)
  const mirror = w.f.fresh('mirror')
  await w.author.ok('mirror', w.link, mirror)
  const file = w.f.fresh('seen')
  const watcher = w.f.bosc(NOBODY)
  const once = (...flags) => watcher.end(['monitor', w.link, file, '--once', '--mirror', mirror, ...flags])
  const say = (said) => fs.writeFileSync(path.join(mirror, 'bosc-statements'), encodeStatements([w.operator.says(said)]))
  say({ versions: { '1.0.0': { percent: 10 } } })
  const first = await once()
  assert.equal(first.code, 0, first.stderr)
  assert.deepEqual([first.last('final').heads, first.last('final').statements], [2, 1])
  const size = fs.statSync(file).size
  assert.equal((await once()).code, 0)
  assert.equal(fs.statSync(file).size, size, 'nothing new is nothing written')
  // What is here alone is no look.
  const alone = await watcher.end(['monitor', w.link, file, '--once', '--timeout', '2'])
  assert.equal(alone.code, 4, alone.stderr)
  // Torn.
  fs.truncateSync(file, size - 5)
  const torn = await once()
  assert.equal(torn.code, 0, torn.stderr)
  assert.ok(torn.last('torn').bytes > 0)
  assert.equal(fs.statSync(file).size, size)
  // Killed while it runs.
  const run = watcher.start('monitor', w.link, file, '--every', '1', '--mirror', mirror)
  await run.until('monitoring')
  await w.release('1.0.1', 2)
  await w.author.ok('mirror', w.link, mirror)
  await run.until('head')
  run.child.kill('SIGKILL')
  await run.exited
  const after = await once()
  assert.equal(after.code, 0, after.stderr)
  assert.ok(after.last('final').heads >= 4, JSON.stringify(after.last('final')))
  // The same counter, something else.
  say({ counter: 1, versions: { '1.0.0': { halt: 'halted' } } })
  const found = await once()
  assertFailed(found, 'ERR_MONITOR')
  assert.equal(found.code, 7)
  assert.deepEqual(found.last('finding').kind, 'contradiction')
  // It stays found.
  say({ counter: 2 })
  assertFailed(await once(), 'ERR_MONITOR')
})

test('a monitor finds a history that was cut back, and other operators, once', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1)
  const first = (await w.author.info(w.link)).length
  const mirror = w.f.fresh('mirror')
  const file = w.f.fresh('seen')
  const watcher = w.f.bosc(NOBODY)
  const once = async () => {
    await w.author.ok('mirror', w.link, mirror)
    return watcher.end(['monitor', w.link, file, '--once', '--mirror', mirror])
  }
  await w.release('1.0.1', 2)
  assert.equal((await once()).code, 0)
  writeTree(w.dir, sampleApp({ version: '1.0.2', size: 10_000 }))
  await w.author.ok('stage', w.link, w.dir, '--truncate', String(first))
  const cut = await once()
  assertFailed(cut, 'ERR_MONITOR')
  assert.equal(cut.last('finding').kind, 'cut-back')
  assert.equal((await once()).code, 0)
  await w.release('1.0.3', 3, { operators: [] })
  const changed = await once()
  assertFailed(changed, 'ERR_MONITOR')
  assert.equal(changed.last('finding').kind, 'operators')
  assert.equal((await once()).code, 0)
})

test('two monitors that are shown two histories find out by their files', { timeout, skip }, async (t) => {
  const w = await world(t)
  await w.release('1.0.0', 1)
  const copy = w.f.fresh('copy')
  fs.cpSync(w.author.store, copy, { recursive: true, preserveTimestamps: true })
  const liar = w.f.bosc({ store: copy })
  await w.release('1.0.1', 2)
  writeTree(w.dir, { ...sampleApp({ version: '1.0.1', size: 10_000 }), 'data.bin': noise(66, 50_000) })
  await liar.ok('stage', w.link, w.dir, '--sole-copy')
  const files = []
  for (const bosc of [w.author, liar]) {
    const [mirror, file] = [w.f.fresh('mirror'), w.f.fresh('seen')]
    await bosc.ok('mirror', w.link, mirror)
    const seen = await w.f.bosc(NOBODY).end(['monitor', w.link, file, '--once', '--mirror', mirror])
    assert.equal(seen.code, 0, `each sees one history: ${seen.stderr}`)
    files.push(file)
  }
  const split = await w.f.bosc().end(['monitor', '--compare', ...files])
  assertFailed(split, 'ERR_MONITOR')
  assert.equal(split.last('finding').kind, 'fork')
  const same = await w.f.bosc().ok('monitor', '--compare', files[0], files[0])
  assert.ok(same.last('final').heads[0] > 0)
})

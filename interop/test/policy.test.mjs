// Rules of a link and its operators, from the command line to clients: rollout, halt, recall, lift, refresh; JavaScript nodes keep what
// operators say, and a JavaScript client of the link sees an ordinary drive.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import crypto from 'hypercore-crypto'
import z32 from 'z32'
import DHT from 'hyperdht'
import { isStandIn } from '../lib/bosc.mjs'
import { assertContent } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage, parseLink, waitFor } from '../lib/net.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { PASSPHRASE, Signer, requestJs } from '../lib/signing.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'
import { Installed } from '../lib/watch.mjs'

// The stand-in has no such command.
const opts = { timeout: 300_000, skip: isStandIn() }
const host = `${process.platform}-${process.arch}`
const app = `by-arch/${host}/app/Demo`
const ALL = 'refresh,rollout,halt,recall'

const tree = (version, data) => ({ ...sampleApp({ version, size: 1000 }), [app]: { data, mode: 0o755 } })

/** A link whose version 1.0.1 goes to nobody at first, and an operator on a machine of its own. */
async function world(t, ...rules) {
  const f = await fixture(t)
  const dir = f.tree(tree('1.0.0', noise(1, 50_000)))
  const publisher = f.bosc()
  const { link } = await publisher.touch()
  await publisher.stage(link, dir)
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const night = new Signer(f.dir, 0)
  const set = ['--rollout', '0%', '--operator', `night shift=${night.public}:${ALL}`, '--recall', ...rules]
  const done = await publisher.ok('policy', 'set', dir, ...set)
  assert.deepEqual(done.all('field-changed').map((d) => d.field).slice(0, 3), ['schema', 'time', 'rollout'])
  writeTree(dir, tree('1.0.1', noise(2, 50_000)))
  const staged = await publisher.ok('stage', link, dir)
  assert.match(staged.last('policy').meaning, /goes to nobody until an operator says how far; operators: night shift \(refresh/)
  const seeding = await publisher.seed(link)
  const operator = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE, BOSC_KEYS: night.dir } })
  const book = path.join(operator.store, 'operators', night.public)
  const { version } = staged.last('addendum')
  return { f, dir, version, publisher, seeding, link, demo, night, operator, book }
}

/** Ends with this exit code and this code of an error, which says what to do. */
async function refused(bosc, args, exit, code) {
  const p = await bosc.end(args)
  const error = p.last('error')
  assert.deepEqual([p.code, error?.code], [exit, code], p.describe())
  assert.ok(error.hint, p.describe())
  return error
}

test('a rollout from nobody to everybody, a recall, and back again', opts, async (t) => {
  const { f, dir, version, link, demo, night, operator, book } = await world(t)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await waitFor(() => drive.version === version)
  await assertContent(drive, version, snapshot(dir))

  const first = demo.watch()
  const held = await first.until('held')
  assert.deepEqual(held, { version: '1.0.1', by: 'share', operator: null, hundredths: 0 })

  const dry = await operator.ok('rollout', link, '1.0.1', '100%', '--dry-run')
  assert.equal(dry.last('statement').after.share, 10_000)
  assert.ok(!fs.existsSync(book), 'nothing was signed')
  const said = (await operator.ok('rollout', link, '1.0.1', '100%')).last('final')
  assert.equal(said.statement.counter, 1)
  assert.ok(said.nodes >= 1)
  assert.equal(said.statement.newest.length, version)

  // JavaScript reads the record, and its signature is the operator's.
  const dht = new DHT({ bootstrap: f.bootstrap })
  f.later(() => dht.destroy())
  const record = await dht.mutableGet(night.keyPair.publicKey)
  assert.equal(record.seq, 1)
  assert.ok(record.value.subarray(0, 32).equals(night.keyPair.publicKey))
  const namespace = crypto.hash(Buffer.from('bosc operator statement'))
  const signed = Buffer.concat([namespace, record.value.subarray(96)])
  assert.ok(crypto.verify(signed, record.value.subarray(32, 96), night.keyPair.publicKey))
  assert.ok(record.value.subarray(97, 129).equals(parseLink(link).key))

  first.say('check')
  assert.equal((await first.until('updated')).version, '1.0.1')
  first.say('apply')
  await first.until('applied')
  await first.quit()
  const second = new Installed(f, link, { version: '1.0.1' })
  Object.assign(second, { app: demo.app, dir: demo.dir })
  const running = second.watch()
  running.say('healthy')
  await running.until('healthy')

  const halted = await operator.ok('halt', link, '1.0.1', '--recall')
  const { before, after } = halted.last('statement')
  assert.deepEqual([before.haltedBy, after.haltedBy, after.recalled], [null, 'night shift', true])
  assert.equal(halted.last('final').statement.counter, 2)
  const shown = await operator.ok('policy', 'show', link)
  assert.equal(shown.last('operator').statement.counter, 2)
  assert.deepEqual(shown.all('standing').map((s) => [s.version, s.haltedBy]), [['1.0.1', 'night shift']])
  const doctor = await operator.end(['doctor', link, '--timeout', '10'])
  const finding = doctor.all('finding').find((d) => d.check === 'halt')
  assert.match(finding.next, new RegExp(`bosc lift ${link} 1.0.1`))

  running.say('check')
  const back = await running.until('rolled-back')
  assert.deepEqual([back.reason, back.version, back.restored], ['recalled', '1.0.1', '1.0.0'])
  assert.ok(fs.readFileSync(demo.app).equals(noise(1, 50_000)))
  await running.quit()

  await operator.ok('lift', link, '1.0.1')
  const third = demo.watch()
  assert.equal((await third.until('updated')).version, '1.0.1')
  await third.quit()
  await assertContent(drive, version, snapshot(dir))
  assert.equal((await dht.mutableGet(night.keyPair.publicKey)).seq, 3)
})

test('what the rules do not allow is refused before anything is signed', opts, async (t) => {
  const { f, dir, publisher, link, night, operator, book } = await world(t)
  await refused(operator, ['rollout', link, '1.0.2', '50%'], 3, 'ERR_NOT_FOUND')
  await refused(operator, ['rollout', link, '1.0.1', '101%'], 2, 'ERR_INVALID_INPUT')
  await refused(operator, ['lift', link, '1.0.1'], 3, 'ERR_NOT_FOUND')
  const stranger = new Signer(f.dir, 1)
  const e = await refused(operator, ['halt', link, '1.0.1', '--keys', stranger.dir], 6, 'ERR_NOT_ALLOWED')
  assert.match(e.hint, /night shift may/)
  const wrong = f.bosc({ store: operator.store, env: { BOSC_PASSPHRASE: 'wrong horse', BOSC_KEYS: night.dir } })
  await refused(wrong, ['refresh', link], 6, 'ERR_PERMISSION_REQUIRED')
  assert.ok(!fs.existsSync(book))
  const alone = f.bosc({ store: operator.store, bootstrap: [{ host: '127.0.0.1', port: 9 }], env: operator.env })
  assert.equal((await alone.end(['halt', link, '1.0.1'])).code, 4)
  assert.ok(!fs.existsSync(book))

  await operator.ok('rollout', link, '1.0.1', '50%')
  await refused(operator, ['rollout', link, '1.0.1', '20%'], 2, 'ERR_INVALID_INPUT')
  await operator.ok('rollout', link, '1.0.1', '0%')

  // The same key for another link.
  const { link: other } = await publisher.touch()
  await publisher.stage(other, dir)
  await publisher.seed(other)
  await refused(operator, ['refresh', other], 2, 'ERR_KEY_IN_USE')
  const elsewhere = f.bosc({ env: operator.env })
  await refused(elsewhere, ['refresh', other], 2, 'ERR_KEY_IN_USE')
  // Another machine with the key goes on where this one was.
  assert.equal((await elsewhere.ok('refresh', link)).last('final').statement.counter, 3)

  // Rules that nobody could obey are not released.
  const rules = JSON.parse(fs.readFileSync(path.join(dir, 'release.json'), 'utf8'))
  fs.writeFileSync(path.join(dir, 'release.json'), JSON.stringify({ ...rules, rollout: 900, recall: 1 }))
  const length = (await publisher.info(link)).length
  await refused(publisher, ['stage', link, dir], 2, 'ERR_INVALID_POLICY')
  assert.equal((await publisher.info(link)).length, length)
  const checked = await publisher.end(['policy', 'check', dir])
  assert.equal(checked.code, 2)
  assert.deepEqual(checked.all('policy-finding').map((d) => [d.level, d.field]), [['bad', 'rollout'], ['bad', 'recall']])
})

test('killed between the store and the network, the counter goes on', opts, async (t) => {
  const { link, operator, book } = await world(t)
  await operator.ok('refresh', link)
  const before = fs.readFileSync(book)
  for (const counter of [3, 5]) {
    const kept = fs.readFileSync(book)
    const p = operator.start('halt', link, '1.0.1')
    await waitFor(() => !fs.readFileSync(book).equals(kept), { interval: 1, what: () => p.describe() })
    p.child.kill('SIGKILL')
    await p.exited
    // What was signed and perhaps never said counts, and is repeated.
    const { statement } = (await operator.ok('refresh', link)).last('final')
    assert.equal(statement.counter, counter)
    assert.deepEqual(statement.versions, [{ version: '1.0.1', share: null, halt: 'halted' }])
  }
  // What is put back from a backup does not take the counter back: the network knows better.
  fs.writeFileSync(book, before)
  assert.equal((await operator.ok('refresh', link)).last('final').statement.counter, 6)
})

test('a seeder that refreshes says so again and again', opts, async (t) => {
  const { f, link, operator } = await world(t, '--freshness', '60s')
  const dht = new DHT({ bootstrap: f.bootstrap })
  f.later(() => dht.destroy())
  const seeding = await operator.seed(link, '--refresh-with', 'default')
  const first = await seeding.until('refreshed')
  assert.equal(first.statement.counter, 1)
  assert.equal(z32.decode(first.operator).length, 32)
  const second = await seeding.until('refreshed', (d) => d.statement.counter === 2, { timeout: 60_000 })
  assert.ok(second.statement.time > first.statement.time)
  assert.equal((await dht.mutableGet(z32.decode(first.operator))).seq, 2)
  assert.equal(await seeding.stop(), 0)
})

test('whoever prepares and signs a release sees its rules, and refuses those that nobody could obey', opts, async (t) => {
  const f = await releaseFixture(t)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const rules = (rollout) => ({ ...sampleApp({ version: '1.0.0', size: 1000 }), 'release.json': JSON.stringify({ schema: 1, rollout }) })
  const none = (link) => `pear://0.0.${link.slice('pear://'.length)}`
  const { link } = await bosc.touch()
  const { verlink } = await bosc.stage(link, f.f.tree(rules(10)))
  const { link: target } = await bosc.touch()
  const provisioned = await bosc.ok('provision', verlink, target, none(f.targetLink), '--yes')
  assert.match(provisioned.last('policy').meaning, /goes to 10 % of installations/)
  const request = async (verlink) => (await bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)).last('final').request
  const sign = (request) => ['multisig', 'sign', request, '--yes', '--keys', f.signers[0].dir]
  const signed = await bosc.ok(...sign(await request(verlink)), '--offline')
  assert.deepEqual([signed.last('policy').rollout, signed.last('policy').version], [1000, '1.0.0'])
  assert.equal(signed.last('signing').inspected, true)

  // JavaScript stages whatever it is given.
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, f.f.tree(rules(900)))
  await js.join(drive)
  const wrong = (await describe(drive)).verlink
  const { link: fresh } = await bosc.touch()
  await refused(bosc, ['provision', wrong, fresh, none(f.targetLink), '--yes'], 7, 'ERR_INVALID_POLICY')
  assert.ok((await bosc.end(['dump', fresh, f.f.fresh()])).code !== 0, 'nothing was written')
  await bosc.ok('dump', wrong, f.f.fresh())
  // Nor does anybody ask for signatures; who is asked all the same does not sign.
  await refused(bosc, ['multisig', 'request', wrong, '--force', '--config', f.configFile], 7, 'ERR_INVALID_POLICY')
  const asked = await requestJs(js, f.config, drive, drive.core.length, { force: true })
  await refused(bosc, [...sign(asked), '--source', wrong], 7, 'ERR_INVALID_POLICY')
  // Signed elsewhere, by those who look at nothing: it goes into no production.
  const responses = await Promise.all(f.signers.slice(0, 2).map((s) => s.signJs(asked)))
  const commit = ['multisig', 'commit', wrong, asked, ...responses, '--config', f.configFile, '--first-commit', '--force-dangerous']
  await refused(bosc, commit, 7, 'ERR_INVALID_POLICY')
  assert.ok((await bosc.end(['dump', f.targetLink, f.f.fresh(), '--timeout', '2'])).code !== 0, 'nothing was committed')
})

test('a quorum sees what changed in the rules at each step, and commits none that nobody could obey', opts, async (t) => {
  const f = await releaseFixture(t)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const rules = (more) => JSON.stringify({ schema: 1, ...more })
  const key = (n) => z32.encode(Buffer.alloc(32, n))
  const [day, night] = [{ key: key(1), name: 'day', may: ['halt'] }, { key: key(2), name: 'night', may: ['halt'] }]
  const dir = f.f.tree({})
  const { link } = await bosc.touch()
  const { link: lean } = await bosc.touch()
  await bosc.seed(lean)
  const copies = await Promise.all([0, 1].map(async () => {
    const copy = f.bosc()
    await copy.seed(lean)
    return (await copy.seed(f.targetLink), copy)
  }))
  assert.equal(copies.length, 2)
  const prepare = async (version, more, from) => {
    writeTree(dir, { ...sampleApp({ version, size: 1000 }), 'release.json': rules(more) })
    const { verlink } = await bosc.stage(link, dir)
    const provisioned = (await bosc.ok('provision', verlink, lean, from, '--yes')).last('final')
    return provisioned.target.verlink
  }
  const changed = (p) => Object.fromEntries(p.all('field-changed').map((c) => [c.field, [c.before, c.after]]))
  const run = async (verlink, first) => {
    const asked = await bosc.ok('multisig', 'request', verlink, '--config', f.configFile, '--wait', '30')
    const { request } = asked.last('final')
    const responses = []
    let signed
    for (const signer of f.signers.slice(0, 2)) {
      signed = await bosc.ok('multisig', 'sign', request, '--yes', '--keys', signer.dir)
      responses.push(signed.last('sign').response)
    }
    const args = [lean, request, ...responses, '--config', f.configFile, ...(first ? ['--first-commit'] : [])]
    const verified = await bosc.ok('multisig', 'verify', ...args)
    const committed = await bosc.ok('multisig', 'commit', ...args, '--wait', '60')
    return { asked, signed, verified, committed, verlink: committed.last('final').verlink }
  }
  const none = `pear://0.0.${f.targetLink.slice('pear://'.length)}`
  const first = await run(await prepare('1.0.0', { rollout: 10, operators: [day, night] }, none), true)
  for (const step of ['asked', 'signed', 'verified', 'committed']) {
    assert.equal(first[step].last('policy').rollout, 1000, step)
    assert.deepEqual(changed(first[step]), {}, `${step}: there is nothing before it`)
  }
  const more = { ...day, may: ['halt', 'recall'] }
  const next = await prepare('1.1.0', { recall: true, operators: [more], mirrors: ['https://example.com/app'] }, first.verlink)
  const second = await run(next, false)
  for (const step of ['asked', 'signed', 'verified', 'committed']) {
    const expected = {
      mirrors: [null, ['https://example.com/app']],
      'operators[day]': [day, more],
      'operators[night]': [night, null],
      recall: [null, true],
      rollout: [10, null]
    }
    assert.deepEqual(changed(second[step]), expected, step)
  }
})

// Requests, signatures and commits by bosc and by the JavaScript tools, in every combination; and everything that must fail.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import crypto from 'hypercore-crypto'
import c from 'compact-encoding'
import z32 from 'z32'
import { assertFailed } from '../lib/check.mjs'
import { Running, isStandIn } from '../lib/bosc.mjs'
import { hold, releaseFixture } from '../lib/release.mjs'
import { sampleApp } from '../lib/tree.mjs'
import { SignLib, Signer, passphrase, requestJs, standalone, PASSPHRASE } from '../lib/signing.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'the stand-in has no multisig' : false
const kinds = ['bosc', 'js']

for (const asks of kinds) {
  for (const signs of kinds) {
    for (const commits of kinds) {
      const label = `request by ${asks}, signed by ${signs}, committed by ${commits}: first release and the next`
      test(label, { timeout, skip }, async (t) => {
        const f = await releaseFixture(t)
        for (const version of ['1.0.0', '2.0.0']) {
          const source = await f.release(version)
          await f.seedSource(source)
          const request = await f.request(asks, source)
          const by = version === '1.0.0' ? [0, 1] : [2, 0]
          const responses = []
          for (const i of by) responses.push(await f.sign(signs, i, request))
          await f.commit(commits, source, request, responses)
          await f.assertProduction(source)
        }
      })
    }
  }
}

test('any two of three, in any order, and all three', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  await f.startTargetSeeders()
  const request = await f.request('bosc', source)
  const all = await Promise.all([0, 1, 2].map((i) => f.sign('bosc', i, request)))
  for (const by of [[0, 1], [1, 0], [0, 2], [2, 1], [0, 1, 2], [2, 0, 2]]) {
    const p = await f.bosc().ok(...f.commitArgs('verify', source, request, by.map((i) => all[i]), '--first-commit'))
    const { quorum, result, dryRun } = p.last('final')
    assert.equal(dryRun, true)
    assert.deepEqual(quorum, { amount: 2, total: new Set(by).size })
    const js = await f.verifyJs(source, request, by.map((i) => all[i]))
    assert.equal(result.db.batch.signature, js.db.batch.signature)
    assert.equal(result.blobs.batch.signature, js.blobs.batch.signature)
    for (const core of ['db', 'blobs']) {
      for (const field of ['key', 'keyHex', 'length', 'treeHash', 'treeHashHex']) {
        assert.equal(result[core].batch[field], js[core].batch[field], `${core}.${field}`)
      }
    }
  }
})

test('one of two: verify counts it, commit refuses before any network', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const request = await f.request('bosc', source)
  const one = await f.sign('bosc', 1, request)
  const verified = await f.bosc().ok(...f.commitArgs('verify', source, request, [one], '--first-commit'))
  assert.deepEqual(verified.last('final').quorum, { amount: 2, total: 1 })
  assert.equal(verified.last('final').result.db.batch.signature, null)
  for (const responses of [[], [one], [one, one]]) {
    const p = await f.bosc().end(f.commitArgs('commit', source, request, responses, '--first-commit'))
    assertFailed(p, 'INSUFFICIENT_QUORUM')
    assert.match(p.last('error').message, new RegExp(`Insufficient quorum: ${responses.length ? 1 : 0} / 2`))
    assert.equal(p.all('verify-committable-start').length, 0)
  }
})

test('bad responses are refused, each with its own code', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  const request = await f.request('bosc', source, { force: true })
  const good = await f.sign('js', 0, request)
  const elsewhere = await f.request('bosc', source, { force: true, config: { ...f.config, namespace: 'bosc/other' } })
  const stranger = new Signer(f.dir, 7)
  const forged = z32.decode(await f.sign('js', 1, request))
  forged[forged.length - 5] ^= 1
  const posing = z32.decode(good)
  f.signers[1].keyPair.publicKey.copy(posing, 2 + 32)
  const unknown = z32.decode(good)
  stranger.keyPair.publicKey.copy(unknown, 2 + 32)
  const cases = {
    SIGNATURE_OTHER_REQUEST: await f.sign('js', 1, elsewhere),
    SIGNATURE_INVALID: z32.encode(forged),
    SIGNER_UNKNOWN: z32.encode(unknown),
    ERR_INVALID_INPUT: request.slice(0, 90)
  }
  for (const [code, bad] of [...Object.entries(cases), ['SIGNATURE_INVALID', z32.encode(posing)]]) {
    for (const list of [[good, bad], [bad, good]]) {
      const p = await f.bosc().end(f.commitArgs('commit', source, request, list, '--first-commit'))
      assertFailed(p, code)
      assert.ok(p.last('error').hint.length > 10)
      assert.equal(p.all('verify-committable-start').length, 0)
    }
  }
  const mismatch = await f.bosc().end(f.commitArgs('commit', source, elsewhere, [await f.sign('js', 1, elsewhere)], '--first-commit'))
  assertFailed(mismatch, 'REQUEST_CONFIG_MISMATCH')
})

test('who is no signer cannot sign; a wrong passphrase and no confirmation end it', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  const request = await f.request('bosc', source, { force: true })
  const stranger = new Signer(f.dir, 9)
  const bosc = f.bosc()
  const sign = (signer, flags, env) => f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE, ...env } })
    .end(['multisig', 'sign', request, '--offline', '--blind', '--keys', signer.dir, ...flags])
  const refused = await sign(stranger, ['--yes'])
  assertFailed(refused, 'ERR_PERMISSION_REQUIRED')
  assert.match(refused.last('error').message, /not a declared signer/)
  const wrong = await sign(f.signers[0], ['--yes'], { BOSC_PASSPHRASE: 'not it at all' })
  assertFailed(wrong, 'ERR_PERMISSION_REQUIRED')
  assert.match(wrong.last('error').message, /Key decryption failed/)
  const name = await bosc.end(['multisig', 'sign', request, 'nobody', '--yes', '--offline', '--keys', f.signers[0].dir])
  assertFailed(name, 'ERR_NOT_FOUND')
  for (const p of [refused, wrong, name]) assert.ok(!p.stderr.includes(PASSPHRASE))
})

test('a signer is told the true sizes of files that bosc stored in pieces, and on stderr when the response goes elsewhere', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const env = { BOSC_PASSPHRASE: PASSPHRASE }
  const bosc = f.bosc({ env })
  const dir = f.f.tree(sampleApp({ version: '1.0.0', size: 300_000 }))
  const { link } = (await bosc.ok('touch')).last('final')
  const { verlink } = (await bosc.ok('stage', link, dir)).last('final')
  const { request } = (await bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)).last('final')
  const sign = ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir]
  const told = await bosc.ok(...sign)
  const files = told.all('file')
  assert.ok(files.some((e) => e.size > 200_000))
  for (const { key, size } of files) {
    const real = fs.lstatSync(path.join(dir, key))
    assert.equal(size, real.isSymbolicLink() ? 0 : real.size, key)
  }

  const shown = new Running(bosc.args(sign).filter((flag) => flag !== '--json'), { env })
  assert.equal(await shown.exited, 0, shown.stderr)
  assert.deepEqual(shown.noise, [told.last('sign').response])
  for (const { key } of files) assert.ok(shown.stderr.includes(key), shown.stderr)
})

test('two drives whose files differ in content only: each request is shown with its own', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const elsewhere = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const sign = (request) => ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir]
  const made = []
  for (const version of ['1.0.1', '1.0.2']) {
    const dir = f.f.tree({ 'package.json': JSON.stringify({ name: 'same', version }) })
    const { link } = (await bosc.ok('touch')).last('final')
    const { verlink } = (await bosc.ok('stage', link, dir)).last('final')
    made.push({ version, ...(await bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)).last('final') })
    if (made.length === 1) {
      const other = (await elsewhere.ok('touch')).last('final').link
      await elsewhere.ok('stage', other, dir)
    }
  }
  assert.equal(made[0].treeHash, made[1].treeHash)
  assert.notEqual(made[0].blobs.treeHash, made[1].blobs.treeHash)
  for (const { version, request } of made) {
    const p = await bosc.ok(...sign(request), '--replace')
    assert.equal(p.last('signing').content.version, version)
    assert.equal(p.last('signing').inspected, true)
  }
  // Where only the other one is, the files of this one are not known.
  const p = await elsewhere.end(sign(made[1].request))
  assertFailed(p, 'ERR_NOT_INSPECTED')
  assert.equal(p.last('signing').source, null)
})

test('a signer sees the files, the versions and production, and is told what is not known', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const source = await f.release('2.0.0', { 'by-arch/linux-x64/app/new.txt': 'new\n' })
  await f.seedSource(source)
  const request = await f.request('bosc', source)
  const env = { BOSC_PASSPHRASE: PASSPHRASE }
  const { dir } = f.signers[0]

  const blind = await f.bosc({ env }).ok('multisig', 'sign', request, '--yes', '--offline', '--blind', '--keys', dir)
  assert.equal(blind.last('signing').inspected, false)
  assert.equal(blind.last('signing').production.known, false)
  assert.equal(blind.last('signing').source, null)
  assert.equal(blind.last('signing').notes.length, 2)
  assert.equal(blind.all('byte-diff').length, 0)

  const seeing = await f.bosc({ env }).ok('multisig', 'sign', request, '--yes', '--wait', '20', '--source', source.link, '--keys', dir)
  const told = seeing.last('signing')
  assert.equal(told.production.known, true)
  assert.equal(told.production.length, first.length)
  assert.equal(told.compatible, true)
  assert.deepEqual(told.notes, [])
  assert.equal(told.inspected, true)
  assert.equal(told.missing, null)
  assert.equal(told.content.version, '2.0.0')
  assert.equal(told.content.productionVersion, '1.0.0')
  assert.equal(told.treeHash, source.hash)
  const changed = seeing.all('byte-diff').map((d) => `${d.type} ${d.message}`)
  assert.ok(changed.includes('1 /by-arch/linux-x64/app/new.txt'), changed.join('\n'))
  assert.ok(changed.includes('0 /package.json'), changed.join('\n'))
  assert.equal(seeing.last('sign').response, blind.last('sign').response)
  assert.equal(seeing.last('sign').response, await f.signers[0].signJs(request))

  // A source that is something else is no reason to sign.
  const other = await f.release('2.0.0', { 'by-arch/linux-x64/app/new.txt': 'not what was said\n' })
  await f.seedSource(other, { seeders: 0 })
  for (const [link, code] of [[other.link, 'SRC_KEY_MISMATCH'], [first.link, 'SOURCE_CORE_TOO_SMALL']]) {
    const liar = await f.bosc({ env }).end(['multisig', 'sign', request, '--yes', '--wait', '4', '--source', link, '--keys', dir])
    assertFailed(liar, code)
    assert.equal(liar.all('sign').length, 0)
  }
})

test('requests that could never be committed are refused', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  const ask = (link, ...flags) => f.bosc().end(['multisig', 'request', link, '--config', f.configFile, '--peer-update-timeout', '3000', ...flags])
  const key = source.link.slice('pear://'.length)
  assertFailed(await ask(source.verlink), 'ERR_NETWORK_TIMEOUT')
  await f.seedSource(source, { seeders: 0 })
  for (const link of [source.link, `pear://0.0.${key}`]) assertFailed(await ask(link, '--force'), 'ERR_INVALID_LINK')
  assertFailed(await ask(`pear://1.${source.length}.${key}`, '--force'), 'SOURCE_CORE_FORKED')
  assertFailed(await ask(`pear://0.${source.length - 1}.${key}`, '--force'), 'ERR_INVALID_INPUT')
  assertFailed(await ask(`pear://0.${source.length + 3}.${key}`, '--force'), 'SOURCE_CORE_TOO_SMALL')
  assertFailed(await ask(source.verlink), 'SOURCE_CORE_INSUFFICIENT_PEERS')
  const slow = f.js()
  const copy = await slow.drive(source.link)
  await slow.join(copy)
  await slow.head(copy, { length: source.length })
  assertFailed(await ask(source.verlink), 'SOURCE_CORE_NOT_FULLY_SEEDED')
  await hold(copy)
  const p = await ask(source.verlink)
  assert.equal(p.code, 0, p.describe())
  const js = await requestJs(source.peer, f.config, source.drive, source.length, { force: true })
  assert.equal(p.last('final').request, js)
  assert.deepEqual(p.lines.map((l) => l.tag).filter((tag) => !['waiting', 'download'].includes(tag)), [
    'getting-src-blobs', 'verify-db-requestable-start', 'getting-blobs-length', 'verify-blobs-requestable-start',
    'creating-drive', 'final'
  ])

  await source.drive.truncate(1)
  await source.drive.put('/package.json', '{"version":"1.0.1"}')
  const cut = await ask(`pear://0.2.${key}`, '--force')
  assertFailed(cut, 'SOURCE_CORE_FORKED')
})

test('old signers: version 2 requests by hypercore-sign 3', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const request = await f.request('bosc', source, { legacy: true })
  assert.equal(request, await requestJs(source.peer, f.config, source.drive, source.length, { force: true, legacy: true }))
  const old = new Signer(f.dir, 0, { version: 0, asText: true })
  const bytes = z32.decode(request)
  const signables = standalone.request.signable(old.keyPair.publicKey, standalone.request.decode(bytes))
  const signatures = standalone.sign(signables, Buffer.from(old.key), passphrase())
  const response = z32.encode(c.encode(standalone.Response, {
    version: 2, requestHash: crypto.hash(bytes), publicKey: old.keyPair.publicKey, signatures
  }))
  // The same key in the stand-alone tool's files, and the same answer.
  const p = await f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
    .ok('multisig', 'sign', request, '--yes', '--offline', '--blind', '--keys', old.dir)
  assert.equal(p.last('sign').response, response)
  await f.commit('bosc', source, request, [response, await f.sign('js', 2, request)])
  await f.assertProduction(source)
})

test('key files go both ways', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const keys = path.join(f.dir, 'k')
  const env = { BOSC_PASSPHRASE: 'a good passphrase', BOSC_KEYS: keys }
  const bosc = f.bosc({ env })
  const made = (await bosc.ok('multisig', 'keys', 'get', '--secret')).last('key')
  assert.equal(made.name, 'default')
  assert.equal(made.pub, path.join(keys, 'default.public'))
  const file = fs.readFileSync(made.prv)
  assert.equal(file.length, 186)
  assert.equal(z32.encode(file), made.privateKey)
  assert.equal(z32.encode(fs.readFileSync(made.pub)), made.publicKey)
  assert.equal(fs.statSync(made.prv).mode & 0o777, 0o600)
  assert.equal(fs.statSync(made.pub).mode & 0o777, 0o600)
  assert.equal(fs.statSync(keys).mode & 0o777, 0o700)
  assert.equal((await bosc.ok('multisig', 'keys', 'get')).last('key').publicKey, made.publicKey)

  // Made by bosc with 1 GiB of scrypt, opened by JavaScript.
  const config = { ...f.config, publicKeys: [made.publicKey, ...f.config.publicKeys], quorum: 1 }
  const source = await f.release('1.0.0')
  const request = await f.request('bosc', source, { force: true, config })
  const signed = await SignLib.sign(z32.decode(request), Buffer.from(file), passphrase('a good passphrase'))
  SignLib.verify(signed, z32.decode(request), z32.decode(made.publicKey))
  // Made by JavaScript, opened by bosc.
  const js = await SignLib.generateKeys(passphrase('another one'))
  fs.writeFileSync(path.join(keys, 'js'), js.secretKey)
  fs.writeFileSync(path.join(keys, 'js.public'), js.publicKey)
  const other = { ...config, publicKeys: [z32.encode(js.publicKey)] }
  const second = await f.request('bosc', source, { force: true, config: other })
  const p = await f.bosc({ env: { ...env, BOSC_PASSPHRASE: 'another one' } }).ok('multisig', 'sign', second, 'js', '--yes', '--offline', '--blind')
  SignLib.verify(z32.decode(p.last('sign').response), z32.decode(second), js.publicKey)

  const listed = (await bosc.ok('multisig', 'keys', 'list')).last('list').keys
  assert.deepEqual(listed.map((k) => [k.name, k.owned]), [['default', true], ['js', true]])
  assertFailed(await bosc.end(['multisig', 'keys', 'add', 'js', made.publicKey]), 'ERR_INVALID_INPUT')
  const paths = (await bosc.ok('multisig', 'keys', 'paths', 'x')).last('key')
  assert.deepEqual(paths, { paths: true, pub: path.join(keys, 'x.public'), prv: path.join(keys, 'x') })
  assertFailed(await bosc.end(['multisig', 'keys', 'get', '../x']), 'ERR_INVALID_INPUT')
})

test('a key is carried to another machine, under a new passphrase when asked', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const here = f.bosc({ env: { BOSC_KEYS: f.signers[0].dir, BOSC_PASSPHRASE: PASSPHRASE, BOSC_NEW_PASSPHRASE: 'brand new words' } })
  const line = (await here.ok('multisig', 'keys', 'export', 'default')).last('export').key
  const file = path.join(f.dir, 'exported')
  await here.ok('multisig', 'keys', 'export', 'default', file)
  assert.equal(fs.readFileSync(file, 'utf8').trim(), line)
  assert.equal(fs.statSync(file).mode & 0o777, 0o600)
  const there = f.bosc({ env: { BOSC_KEYS: path.join(f.dir, 'there'), BOSC_PASSPHRASE: PASSPHRASE, BOSC_NEW_PASSPHRASE: 'brand new words' } })
  assert.equal((await there.ok('multisig', 'keys', 'import', file)).last('key').publicKey, f.signers[0].public)
  assertFailed(await there.end(['multisig', 'keys', 'import', line]), 'ERR_INVALID_INPUT')
  await there.ok('multisig', 'keys', 'import', line, 'renewed', '--new-passphrase')
  const renewed = fs.readFileSync(path.join(f.dir, 'there', 'renewed'))
  assert.equal(renewed.readBigUInt64LE(9), 1n << 30n)
  assert.deepEqual(fs.readFileSync(path.join(f.dir, 'there', 'default')), f.signers[0].key)
  const source = await f.release('1.0.0')
  const request = await f.request('bosc', source, { force: true })
  const old = await there.end(['multisig', 'sign', request, 'renewed', '--yes', '--offline', '--blind'])
  assertFailed(old, 'ERR_PERMISSION_REQUIRED')
  const anew = f.bosc({ env: { BOSC_KEYS: path.join(f.dir, 'there'), BOSC_PASSPHRASE: 'brand new words' } })
  const p = await anew.ok('multisig', 'sign', request, 'renewed', '--yes', '--offline', '--blind')
  assert.equal(p.last('sign').response, await f.signers[0].signJs(request))
  assertFailed(await there.end(['multisig', 'keys', 'remove', 'renewed']), 'ERR_INVALID_INPUT')
  assert.deepEqual((await there.ok('multisig', 'keys', 'remove', 'renewed', '--force')).last('removed'), { name: 'renewed' })
  assert.equal(fs.existsSync(path.join(f.dir, 'there', 'renewed')), false)
})

test('offline, verify and commit say so, whatever they know', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  const store = f.bosc()
  await f.commitNew('bosc', first, { bosc: store })
  const source = await f.release('2.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  // It has seen both, and so has nothing to fetch.
  await store.ok(...f.commitArgs('verify', source, request, responses))
  const offline = [{ host: '127.0.0.1', port: 9 }]
  for (const [command, dir] of [['verify', undefined], ['commit', store.store]]) {
    const p = await f.bosc({ store: dir, bootstrap: offline }).end(f.commitArgs(command, source, request, responses))
    assertFailed(p, 'ERR_NO_DHT')
    assert.equal(p.code, 4)
    assert.match(p.last('error').message, /127\.0\.0\.1:9/)
    assert.deepEqual(p.all('journaled'), [])
  }
})

test('offline, an existing production is not taken for a first commit', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  const store = f.bosc()
  await f.commitNew('bosc', first, { bosc: store })
  const source = await f.release('2.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  await f.stopTargetSeeders()
  // Sources are seeded, production is out of sight, the store is new.
  const p = await f.bosc().end(f.commitArgs('commit', source, request, responses))
  assertFailed(p, 'TARGET_STATE_UNKNOWN')
  assert.equal(p.all('journaled').length, 0)
  // The store that committed before knows better, and lacks copies.
  const known = await store.end(f.commitArgs('commit', source, request, responses))
  assertFailed(known, 'TARGET_CORE_INSUFFICIENT_PEERS')
  // Empty seeders are no news; whoever has production is.
  await f.startTargetSeeders()
  assertFailed(await f.bosc().end(f.commitArgs('commit', source, request, responses)), 'TARGET_STATE_UNKNOWN')
  await store.seed(`pear://${f.targetKey}`)
  await f.commit('bosc', source, request, responses)
  await f.assertProduction(source)
  const records = (await store.ok('data', 'multisig')).last('final').records
  assert.deepEqual(records, [{ key: f.targetKey }])
})

test('peers that have nothing do not vouch for an empty production', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  await f.startTargetSeeders()
  const p = await f.bosc().end(f.commitArgs('commit', source, request, responses))
  assertFailed(p, 'TARGET_STATE_UNKNOWN')
  assert.equal(p.all('journaled').length, 0)
  // A check that writes nothing goes on and says what it does not know.
  const verified = await f.bosc().ok(...f.commitArgs('verify', source, request, responses))
  assert.equal(verified.all('target-unknown').length, 1)
  await f.commit('bosc', source, request, responses)
  await f.assertProduction(source)
})

test('a commit by a store that has never seen production', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('js', first)
  const source = await f.release('2.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const store = f.bosc()
  const p = await f.commit('bosc', source, request, responses, { bosc: store })
  assert.equal(p.last('target').fromPeers, true)
  assert.equal(p.last('verify-committed-start').firstCommit, false)
  await f.assertProduction(source)
  // All of it, the old part included, is here to be seeded.
  const commit = (await store.ok('multisig', 'status')).last('commit')
  assert.equal(commit.phase, 'committed')
  assert.equal(commit.db.held, source.length)
})

const steps = ['verify-committable-start', 'target', 'commit-start', 'journaled', 'commit-progress', 'committed',
  'verify-committed-start', 'verify-committed']
for (const which of ['first', 'later']) {
  test(`killed at every step of a commit, ${which} release: the same command finishes`, { timeout: 300_000, skip }, async (t) => {
    const f = await releaseFixture(t)
    const first = await f.release('1.0.0')
    await f.seedSource(first)
    f.production = first
    const source = which === 'first' ? first : await f.release('2.0.0')
    await f.seedSource(source)
    for (const [i, step] of steps.entries()) {
      await f.stopTargetSeeders()
      f.newTarget()
      if (which === 'later') await f.commitDirect(first)
      else await f.startTargetSeeders()
      const { request, responses } = await f.signed('js', source)
      const bosc = f.bosc()
      const args = f.commitArgs('commit', source, request, responses, ...(which === 'first' ? ['--first-commit'] : []))
      const p = bosc.start(...args)
      await p.until(step, undefined, { timeout: 60_000 })
      p.child.kill('SIGKILL')
      await p.exited
      const { phase } = (await bosc.ok('multisig', 'status')).last('commit') ?? {}
      if (i >= steps.indexOf('committed')) assert.ok(['written', 'committed'].includes(phase), `${step}: ${phase}`)
      // Before that the phase proves nothing: between what was seen and the kill it may have gone on.
      // On the same machine, or on another one.
      const next = i % 2 === 0 ? bosc : f.bosc()
      let again = await next.end(args)
      if (next !== bosc && again.code !== 0) {
        // Killed after its db was taken and before its blobs were: nobody but the store that wrote them knows which release
        // this is, so another store writes nothing until that one is back.
        assertFailed(again, 'TARGET_STATE_UNKNOWN')
        assert.ok(i >= steps.indexOf('journaled'), step)
        assert.equal(again.all('journaled').length, 0, step)
        assert.ok(f.targetSeeders.every((s) => s.blobs.length === 0), `${step}: nobody has blobs`)
        await bosc.ok(...args)
        again = await next.ok(...args)
      }
      assert.equal(again.code, 0, again.describe())
      const { result, seeded } = again.last('final')
      assert.equal(result.db.destCore.treeHash, source.hash, step)
      assert.equal(result.blobs.destCore.treeHashHex, (await source.blobs.treeHash(source.blobsLength)).toString('hex'), step)
      assert.equal(seeded, true)
      assert.equal((await next.ok('multisig', 'status')).last('commit').phase, 'committed')
      // Once more says the same and changes nothing; so does the store that was killed.
      for (const store of [next, bosc]) assert.equal((await store.ok(...args)).last('final').result.db.destCore.treeHash, source.hash)
      if (i % 3 === 0) await f.assertProduction(source)
    }
  })
}

test('a first commit that JavaScript left between blobs and db is finished', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  await f.halfCommit(source, request, responses)
  // Its seeders have the blobs already.
  const p = await f.commit('bosc', source, request, responses)
  assert.ok(p.last('target').blobsLength > 0 || p.last('target').firstCommit)
  await f.assertProduction(source)
})

test('two committers at once, of one release', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses, all } = await f.signed('js', source, [0, 1, 2])
  await f.startTargetSeeders()
  const shared = f.bosc()
  const runs = [
    f.bosc().end(f.commitArgs('commit', source, request, responses, '--first-commit')),
    shared.end(f.commitArgs('commit', source, request, [all[2], all[1]], '--first-commit')),
    shared.end(f.commitArgs('commit', source, request, [all[0], all[2]], '--first-commit'))
  ]
  for (const p of await Promise.all(runs)) {
    assert.equal(p.code, 0, p.describe())
    assert.equal(p.last('final').result.db.destCore.treeHash, source.hash)
  }
  await f.assertProduction(source)
})

test('two releases prepared from one production: the second is refused and nothing is written', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const a = await f.release('2.0.0', { 'a.txt': 'a' })
  const b = await f.release('2.0.1', { 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd' })
  await f.seedSource(a)
  await f.seedSource(b)
  const signedA = await f.signed('bosc', a)
  const signedB = await f.signed('bosc', b)
  const store = f.bosc()
  await f.commit('bosc', a, signedA.request, signedA.responses, { bosc: store })
  const p = await f.bosc().end(f.commitArgs('commit', b, signedB.request, signedB.responses))
  assert.ok(['INCOMPATIBLE_SOURCE_AND_TARGET', 'TARGET_CORE_TOO_BIG'].includes(p.last('error')?.code), p.describe())
  assert.equal(p.all('journaled').length, 0)
  await f.assertProduction(a)
  // Neither is it requested nor signed any more.
  const again = await store.end(['multisig', 'request', b.verlink, '--config', f.configFile, '--wait', '10'])
  assert.notEqual(again.code, 0)
  assert.ok(['INCOMPATIBLE_SOURCE_AND_TARGET', 'TARGET_CORE_TOO_BIG'].includes(again.last('error')?.code), again.describe())
  const env = { BOSC_PASSPHRASE: PASSPHRASE }
  const sign = await f.bosc({ store: store.store, env }).end(['multisig', 'sign', signedB.request, '--yes', '--offline', '--source', b.link, '--keys', f.signers[0].dir])
  assertFailed(sign, again.last('error').code)
})

test('two releases of the same names and sizes have one db: their contents tell them apart', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const a = await f.release('2.0.0', { 'a.txt': 'one' })
  const b = await f.release('2.0.1', { 'a.txt': 'two' })
  assert.equal(a.hash, b.hash)
  await f.seedSource(a)
  await f.seedSource(b)
  const signedA = await f.signed('bosc', a)
  // The signers know what they signed: for this test they sign the second all the same.
  const signedB = await f.signed('bosc', b, [0, 1], '--replace')
  const store = f.bosc()
  await f.commit('bosc', a, signedA.request, signedA.responses, { bosc: store })
  const p = await f.bosc().end(f.commitArgs('commit', b, signedB.request, signedB.responses))
  assertFailed(p, 'INCOMPATIBLE_SOURCE_AND_TARGET')
  assert.equal(p.all('journaled').length, 0)
  await f.assertProduction(a)
  // The store that holds a is not told that b is in production already, nor that a is what is signed.
  const signer = f.bosc({ store: store.store, env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const sign = (request) => signer.end(['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir])
  assert.equal((await sign(signedA.request)).code, 0)
  assertFailed(await sign(signedB.request), 'INCOMPATIBLE_SOURCE_AND_TARGET')
})

test('the source was changed after the request', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  // Appended to: what was requested is still there.
  await source.drive.put('/later.txt', 'later')
  await f.seedSource(source)
  const ok = await f.bosc().ok(...f.commitArgs('verify', source, request, responses, '--first-commit'))
  assert.equal(ok.last('final').result.db.batch.treeHash, source.hash)
  // Another drive of the same length: refused.
  const other = await f.release('1.0.0', { 'readme.txt': 'other' })
  await other.drive.put('/more.txt', 'more')
  await other.drive.put('/more2.txt', 'more')
  await f.seedSource(other)
  const p = await f.bosc().end(f.commitArgs('commit', other, request, responses, '--first-commit'))
  assertFailed(p, 'SRC_KEY_MISMATCH')
  assert.equal(p.all('journaled').length, 0)
})

test('a production peer that serves an older head does not speak for all', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t, { seeders: 3 })
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const stale = await f.freezeTarget()
  const second = await f.release('2.0.0')
  await f.seedSource(second)
  await f.commitNew('bosc', second)
  const third = await f.release('3.0.0')
  await f.seedSource(third)
  const { request, responses } = await f.signed('bosc', third)
  await stale.start()
  const p = await f.commit('bosc', third, request, responses)
  assert.equal(p.last('target').length, second.length)
  await f.assertProduction(third)

  // With only the stale peer in sight a store that committed since says so.
  const fourth = await f.release('4.0.0')
  await f.seedSource(fourth)
  const next = await f.signed('bosc', fourth)
  await f.stopTargetSeeders()
  const alone = await f.bosc().end(f.commitArgs('commit', fourth, next.request, next.responses))
  assert.notEqual(alone.code, 0)
  assert.equal(alone.all('journaled').length, 0)
})

test('commands on a store that seeds are done by the seeder', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  await f.startTargetSeeders()
  const seeding = await bosc.seed(f.targetLink)
  const p = await bosc.ok(...f.commitArgs('commit', source, request, responses, '--first-commit'))
  assert.equal(p.last('final').seeded, true)
  await seeding.until('stats', (s) => s.driveLength === source.length && s.driveSynced && s.blobsSynced)
  assert.equal((await bosc.ok('multisig', 'status', f.targetLink)).last('commit').phase, 'committed')
  const signed = await bosc.ok('multisig', 'sign', request, '--yes', '--wait', '3', '--keys', f.signers[0].dir)
  assert.equal(signed.last('signing').released, true)
  // The seeder still announces after the other commands are gone.
  const reader = f.js()
  const drive = await reader.drive(f.targetLink)
  await f.stopTargetSeeders()
  await reader.join(drive, { server: false })
  await reader.head(drive, { length: source.length })
  await seeding.stop()
})

test('without two copies in time a commit says so, and goes on later', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t, { seeders: 1 })
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const store = f.bosc()
  await f.startTargetSeeders()
  const args = f.commitArgs('commit', source, request, responses, '--first-commit')
  const late = await store.end([...args, '--wait', '4'])
  assertFailed(late, 'COMMIT_NOT_SEEDED')
  assert.ok(late.last('verify-committed').db.fullCopies <= 1)
  const commit = (await store.ok('multisig', 'status')).last('commit')
  assert.deepEqual([commit.phase, commit.db.here, commit.db.length], ['written', source.length, source.length])
  assert.deepEqual((await store.ok('data', 'multisig')).last('final').records, [{ key: f.targetKey }])
  await f.startTargetSeeders(2)
  // The responses are in the journal: the request is enough.
  const again = await store.ok(...f.commitArgs('commit', source, request, []))
  assert.equal(again.last('committed').resumed, true)
  await f.assertProduction(source)
})

test('requests and responses come from files and standard input; wrong configurations are named', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const file = path.join(f.dir, 'texts')
  fs.writeFileSync(file, [request, ...responses].join('\n') + '\n')
  const p = await f.bosc().ok('multisig', 'verify', source.link, file, '--config', f.configFile, '--first-commit')
  assert.equal(p.last('final').quorum.total, 2)

  const config = path.join(f.dir, 'broken.json')
  const link = (text) => {
    fs.writeFileSync(config, text)
    return f.bosc().end(['multisig', 'link', '--config', config])
  }
  assertFailed(await link('{'), 'ERR_INVALID_CONFIG')
  assertFailed(await link('{}'), 'ERR_INVALID_CONFIG')
  assertFailed(await f.bosc().end(['multisig', 'link', '--config', path.join(f.dir, 'none.json')]), 'ERR_INVALID_INPUT')
  const good = await link(JSON.stringify({ multisig: f.config }))
  assert.equal(good.last('final').link, f.targetLink)
  const vanity = await f.bosc().ok('multisig', 'link', '--config', config, '--vanity', 'y')
  assert.match(vanity.last('final').link, /^pear:\/\/y/)
  assert.equal((await f.bosc().ok('multisig', 'link', '--config', config)).last('final').link, vanity.last('final').link)
})

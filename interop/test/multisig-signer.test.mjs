// The signer: what is shown, what is refused, keys that are carried from one tool or machine to the other.
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

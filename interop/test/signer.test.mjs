// What a signer can be made to sign, and what not: requests that lie, content that is hidden, two releases of one length,
// kills, names that pose as others. hypercore-signing-request and hypercore decide what a signature is worth.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import b4a from 'b4a'
import c from 'compact-encoding'
import crypto from 'hypercore-crypto'
import Hyperdrive from 'hyperdrive'
import SignRequest from 'hypercore-signing-request'
import z32 from 'z32'
import { assertFailed } from '../lib/check.mjs'
import { Running, boscCommand, isStandIn } from '../lib/bosc.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { PASSPHRASE, Signer, requestJs } from '../lib/signing.mjs'

const require = createRequire(import.meta.url)
const messages = require('hypercore/lib/messages')
const caps = require('hypercore/lib/caps')

const timeout = 180_000
const skip = isStandIn() ? 'the stand-in has no multisig' : false
const env = { BOSC_PASSPHRASE: PASSPHRASE }

/** A request as bytes, whatever is asked for. */
function encode({ version = 3, length = 5, fork = 0, treeHash = b4a.alloc(32, 9), manifest, content = { length: 2, treeHash: b4a.alloc(32, 8) } }) {
  const parts = [c.encode(c.uint, version)]
  if (version > 2) parts.push(b4a.from([0]))
  parts.push(c.encode(c.uint, length), c.encode(c.uint, fork), treeHash, c.encode(messages.manifest, manifest))
  parts.push(c.encode(c.uint, content ? 1 : 0))
  if (content) parts.push(c.encode(c.uint, content.length), content.treeHash)
  return b4a.concat(parts)
}

/** A store with a release of these files, and the request for it. */
async function prepared(f, files, bosc = f.bosc({ env })) {
  const dir = f.f.tree(files)
  const { link } = (await bosc.ok('touch')).last('final')
  const { verlink } = (await bosc.ok('stage', link, dir)).last('final')
  const { request } = (await bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)).last('final')
  return { bosc, link, request }
}

const app = (version, name = 'app') => ({ 'package.json': JSON.stringify({ name, version }) })
const sign = (f, request, ...flags) => ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir, ...flags]

test('requests that mean something else than they show are refused before anything is shown', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const signer = f.signers[0]
  const signers = (namespace) => f.signers.map((s) => ({ signature: 'ed25519', publicKey: s.keyPair.publicKey, namespace }))
  const old = { version: 0, hash: 'blake2b', allowPatch: false, quorum: 2, signers: signers(f.key), prologue: null }
  const blobs = Hyperdrive.getContentManifest(f.manifest, f.key)
  const twice = { ...f.manifest, signers: [f.manifest.signers[0], f.manifest.signers[1], f.manifest.signers[0]] }
  const cases = {
    'version 0 of the manifest, production as namespace': encode({ manifest: old, content: null }),
    'the same with a request of version 0': encode({ version: 0, manifest: old, content: null }),
    'the db of production alone': encode({ manifest: f.manifest, content: null }),
    'the blobs of production alone': encode({ manifest: blobs, content: null }),
    'a request of version 0': encode({ version: 0, manifest: f.manifest }),
    'the first requests, without flags': encode({ version: 1, manifest: f.manifest, content: null }).subarray(0, -1),
    'a fork': encode({ fork: 1, manifest: f.manifest }),
    'a signer twice': encode({ manifest: twice }),
    'a quorum of none': encode({ manifest: { ...f.manifest, quorum: 0 } }),
    'a quorum out of reach': encode({ manifest: { ...f.manifest, quorum: 4 } })
  }
  // JavaScript signs the first one, and what it signs is production's.
  const forged = SignRequest.signable(signer.keyPair.publicKey, SignRequest.decode(cases['version 0 of the manifest, production as namespace']))
  assert.deepEqual(forged[0].signable, caps.treeSignable(f.key, b4a.alloc(32, 9), 5, 0))
  const everything = ['--blind', '--replace', '--yes', '--offline']
  for (const [name, bytes] of Object.entries(cases)) {
    const p = await f.bosc({ env }).end(['multisig', 'sign', z32.encode(bytes), ...everything, '--keys', signer.dir])
    assertFailed(p, 'ERR_INVALID_INPUT')
    assert.match(p.last('error').message, /^Invalid request/, name)
    assert.ok(p.last('error').hint.length > 20, name)
    assert.deepEqual([p.all('signing').length, p.all('sign').length], [0, 0], name)
  }
  // Nor are they committed.
  const p = await f.bosc().end(['multisig', 'commit', f.targetLink, z32.encode(cases['the db of production alone']), '--config', f.configFile])
  assertFailed(p, 'ERR_INVALID_INPUT')
  assert.deepEqual(fs.readdirSync(signer.dir).sort(), ['default', 'default.public'])
})

test('requests that JavaScript makes for drives are signed, of either version; a link of halves is not', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  // Somebody answers for production: nobody waits for it in vain.
  await f.startTargetSeeders(1)
  const source = await f.release('1.0.0')
  await f.seedSource(source, { seeders: 0 })
  const requests = []
  for (const legacy of [false, true]) {
    const request = await requestJs(source.peer, f.config, source.drive, source.length, { force: true, legacy })
    assert.equal(SignRequest.decode(z32.decode(request)).version, legacy ? 2 : 3)
    const p = await f.bosc({ env }).ok('multisig', 'sign', request, '--yes', '--wait', '20', '--source', source.link, '--keys', f.signers[0].dir)
    const told = p.last('signing')
    assert.deepEqual([told.inspected, told.content.version, told.link], [true, '1.0.0', f.targetLink])
    // The hash that is shown is the one that JavaScript puts into its responses.
    const response = SignRequest.decodeResponse(z32.decode(p.last('sign').response))
    assert.equal(told.requestHash, z32.encode(response.requestHash))
    assert.equal(told.requestHash, z32.encode(crypto.hash(z32.decode(request))))
    assert.equal(told.spoken.replaceAll('-', ''), told.requestHash.slice(0, 32))
    assert.equal(told.signedBefore.count, requests.length)
    requests.push(request)
  }
  // A drive whose own core is production's blobs core: the db's signature would be one for production's blobs.
  const halves = encode({ manifest: Hyperdrive.getContentManifest(f.manifest, f.key) })
  const p = await f.bosc({ env }).end(sign(f, z32.encode(halves), '--blind', '--replace'))
  assertFailed(p, 'ERR_INVALID_INPUT')
  assert.match(p.last('error').message, new RegExp(f.targetKey))
})

test('what was not seen whole is not signed', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  // Somebody answers for production: nobody waits for it in vain.
  await f.startTargetSeeders(1)
  const { bosc, request } = await prepared(f, app('1.0.0'))
  assert.equal((await bosc.ok(...sign(f, request))).last('signing').inspected, true)
  const elsewhere = f.bosc({ env })
  const p = await elsewhere.end(sign(f, request))
  assertFailed(p, 'ERR_NOT_INSPECTED')
  assert.deepEqual([p.last('signing').inspected, p.all('sign').length], [false, 0])
  assert.match(p.last('error').hint, /--source.*--blind/)
  assert.equal((await elsewhere.ok(...sign(f, request, '--blind'))).all('sign').length, 1)

  // Files that nobody can read as what they are.
  const odd = async (change) => {
    const peer = f.js()
    const core = peer.store.get({ name: `odd ${f.f.peers.length}` })
    await core.ready()
    const drive = await peer.drive(core.key)
    await drive.put('/package.json', b4a.from('{"version":"1.0.0"}'))
    await drive.put('/file', b4a.alloc(200_000, 1))
    await change(drive)
    await peer.join(drive)
    const made = SignRequest.decode(z32.decode(await requestJs(peer, f.config, drive, drive.core.length, { force: true })))
    const link = `pear://${z32.encode(drive.key)}`
    const ask = (bytes) => f.bosc({ env }).end(['multisig', 'sign', z32.encode(bytes), '--yes', '--replace', '--wait', '20', '--source', link, '--keys', f.signers[1].dir])
    return { drive, made, ask }
  }
  for (const text of ['no JSON', '[]', '"1.0.0"']) {
    const { made, ask } = await odd((drive) => drive.put('/package.json', b4a.from(text)))
    assertFailed(await ask(encode(made)), 'ERR_NOT_INSPECTED')
  }
  // Content that ends before its files do: clients would wait for ever.
  const { drive, made, ask } = await odd(() => {})
  const blobs = (await drive.getBlobs()).core
  const short = { length: blobs.length - 1, treeHash: await blobs.treeHash(blobs.length - 1) }
  assertFailed(await ask(encode({ ...made, content: short })), 'ERR_INVALID_INPUT')
  // Content that belongs to nothing.
  await blobs.append(b4a.from('unseen'))
  const long = { length: blobs.length, treeHash: await blobs.treeHash(blobs.length) }
  assertFailed(await ask(encode({ ...made, content: long })), 'ERR_NOT_INSPECTED')
  assert.equal((await ask(encode(made))).code, 0)
})

test('a store that cannot be opened is no reason to sign unseen', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const { bosc, request } = await prepared(f, app('1.0.0'))
  assert.equal((await bosc.ok(...sign(f, request))).last('signing').inspected, true)
  fs.writeFileSync(path.join(bosc.store, 'FORMAT'), 'bosc-store 99\n')
  const p = await bosc.end(sign(f, request))
  assertFailed(p, 'ERR_NOT_INSPECTED')
  assert.equal(p.all('sign').length, 0)
  // What the request itself says is told all the same.
  assert.equal(p.last('signing').link, f.targetLink)
  assert.equal((await bosc.ok(...sign(f, request, '--blind'))).all('sign').length, 1)
})

test('two requests for one length', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const a = await prepared(f, app('1.0.1'))
  const b = await prepared(f, app('1.0.2'))
  const hash = (request) => z32.encode(crypto.hash(z32.decode(request)))
  const one = (await a.bosc.ok(...sign(f, a.request))).last('sign')
  assert.equal(one.requestHash, hash(a.request))
  // From whatever store, blind or not: the key remembers.
  for (const [bosc, ...flags] of [[b.bosc], [a.bosc, '--blind'], [f.bosc({ env }), '--blind']]) {
    const p = await bosc.end(sign(f, b.request, ...flags))
    assertFailed(p, 'ERR_ALREADY_SIGNED')
    const short = (request) => hash(request).slice(0, 32).match(/..../g).join('-')
    for (const request of [a.request, b.request]) assert.ok(p.last('error').message.includes(short(request)), p.describe())
    assert.match(p.last('error').hint, /--replace/)
    assert.equal(p.all('sign').length, 0)
  }
  // The same one again is no second one.
  assert.equal((await a.bosc.ok(...sign(f, a.request))).last('sign').response, one.response)
  await b.bosc.ok(...sign(f, b.request, '--replace'))
  assertFailed(await a.bosc.end(sign(f, a.request)), 'ERR_ALREADY_SIGNED')

  // At once: one of them, whichever.
  const other = (request) => ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[1].dir]
  const both = [a, b].map(({ bosc, request }) => bosc.end(other(request)))
  const ended = await Promise.all(both)
  assert.deepEqual(ended.map((p) => p.all('sign').length).sort(), [0, 1], ended.map((p) => p.describe()).join('\n'))
  assertFailed(ended.find((p) => p.all('sign').length === 0), 'ERR_ALREADY_SIGNED')

  // Another length that does not go on from what was signed, and one that does.
  const c = await prepared(f, { ...app('1.0.3'), 'a.txt': 'a', 'b.txt': 'b' })
  const p = await c.bosc.end(sign(f, c.request))
  assertFailed(p, 'ERR_ALREADY_SIGNED')
  assert.match(p.last('error').message, /does not go on from/)
  const dir = f.f.tree({ ...app('1.0.4'), 'c.txt': 'c' })
  const { verlink } = (await b.bosc.ok('stage', b.link, dir)).last('final')
  const next = (await b.bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)).last('final').request
  const told = (await b.bosc.ok(...sign(f, next))).last('signing')
  assert.deepEqual(told.earlier.map((e) => e.relation), ['continues'])
  // Where what was signed is put down can be said; without it nothing is signed.
  const record = f.f.fresh('record')
  await a.bosc.ok(...sign(f, a.request, '--record', record))
  assertFailed(await b.bosc.end(sign(f, b.request, '--record', record)), 'ERR_ALREADY_SIGNED')
  fs.writeFileSync(path.join(record, fs.readdirSync(record).find((n) => n.endsWith('.signed'))), 'damaged')
  const damaged = await a.bosc.end(sign(f, a.request, '--record', record))
  assertFailed(damaged, 'ERR_INVALID_INPUT')
  assert.equal(damaged.all('sign').length, 0)
})

test('killed at any moment, a key never forgets a response that was shown', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const a = await prepared(f, app('1.0.1'))
  const b = await prepared(f, app('1.0.2'))
  const whole = await a.bosc.ok(...sign(f, a.request))
  let shown = 0
  for (let round = 0; round < 12; round++) {
    const signer = new Signer(f.dir, 1 + (round % 2))
    for (const name of fs.readdirSync(signer.dir)) if (/signed/.test(name)) fs.rmSync(path.join(signer.dir, name))
    const args = ['multisig', 'sign', a.request, '--yes', '--offline', '--keys', signer.dir]
    const run = new Running(a.bosc.args(args), { env })
    const end = setTimeout(() => run.child.kill('SIGKILL'), 20 + 15 * round)
    await run.exited
    clearTimeout(end)
    if (!run.all('sign').length) continue
    shown++
    const p = await b.bosc.end(['multisig', 'sign', b.request, '--yes', '--offline', '--keys', signer.dir])
    assertFailed(p, 'ERR_ALREADY_SIGNED')
  }
  t.diagnostic(`${shown} of 12 came to show a response`)
  assert.equal(whole.all('sign').length, 1)
})

test('names that pose as others reach the signer by number', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  // Somebody answers for production: nobody waits for it in vain.
  await f.startTargetSeeders(1)
  const name = 'app\u001b[32m\u001b[2A\u202e\u2029\u3164\u{e0041}\u200b'
  const version = '1.0.0\nupgrade pear://\u043erg'
  const peer = f.js()
  const core = peer.store.get({ name: 'posing' })
  await core.ready()
  const drive = await peer.drive(core.key)
  await drive.put('/package.json', b4a.from(JSON.stringify({ name, version, upgrade: ['pear://x'] })))
  await drive.put('/a\u001b[0m\u202e.txt', b4a.from('x'))
  await drive.put('/\u0430pp.exe', b4a.from('y'))
  await peer.join(drive)
  const request = await requestJs(peer, f.config, drive, drive.core.length, { force: true })
  const bosc = f.bosc({ env })
  const args = ['multisig', 'sign', request, '--yes', '--wait', '20', '--source', `pear://${z32.encode(drive.key)}`, '--keys', f.signers[0].dir]
  const run = new Running(bosc.args(args).filter((flag) => flag !== '--json'), { env })
  assert.equal(await run.exited, 0, run.stderr)
  const lines = run.stderr.split('\n')
  assert.ok(![...run.stderr].some((ch) => ch !== '\n' && /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\u3164]/u.test(ch)), JSON.stringify(run.stderr))
  const has = (text) => assert.ok(lines.some((l) => l.includes(text)), `${text} in\n${run.stderr}`)
  has('name             app\\u{1b}[32m\\u{1b}[2A\\u{202e}\\u{2029}\\u{3164}\\u{e0041}\\u{200b}')
  has('version          1.0.0\\u{a}upgrade pear://\\u{43e}rg')
  has('upgrade          ["pear://x"] (not a text)')
  has('/a\\u{1b}[0m\\u{202e}.txt')
  has('/\\u{430}pp.exe')
  assert.equal(lines.filter((l) => /^ {2}upgrade/.test(l)).length, 1)
})

test('while it waits for the passphrase nothing of it can be dumped or swapped out', { timeout, skip: skip || process.platform !== 'linux' }, async (t) => {
  const f = await releaseFixture(t)
  const { bosc, request } = await prepared(f, app('1.0.0'))
  const [command, ...before] = boscCommand()
  const args = [...before, ...bosc.args(sign(f, request, '--passphrase-fd', '0'))]
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NO_COLOR: '1' } })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (text) => { out += text })
  const closed = new Promise((resolve) => child.on('close', resolve))
  const status = (name) => Number(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8').match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))?.[1])
  const limits = () => fs.readFileSync(`/proc/${child.pid}/limits`, 'utf8').match(/^Max core file size\s+(\S+)\s+(\S+)/m).slice(1)
  while (!(limits().join() === '0,0' && status('VmLck') > 0)) {
    assert.equal(child.exitCode, null, out)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  child.stdin.end(`${PASSPHRASE}\n`)
  assert.equal(await closed, 0)
  assert.match(out, /"tag":"sign"/)
})

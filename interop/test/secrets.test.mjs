// What must not leave a machine, and what no client could take: refused before anything is written, whatever the command.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import Corestore from 'corestore'
import z32 from 'z32'
import { Bosc, isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { passphrase, standalone } from '../lib/signing.mjs'
import { driveSnapshot, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() && 'the stand-in stages whatever it is given'
const PEM = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBxN0uXGrJbF3u1V\n-----END EC PRIVATE KEY-----\n'
const packageJson = (version = '1.0.0') => JSON.stringify({ name: 'demo', productName: 'Demo', version }) + '\n'
const posix = process.platform !== 'win32'

/** Fails with a code and names the file; the link holds what it held. */
async function refused(bosc, args, code, name) {
  const p = await bosc.end(args)
  assertFailed(p, code)
  const { message, hint } = p.last('error')
  assert.ok(message.includes(name), `${message} does not name ${name}`)
  assert.ok(hint)
  assert.deepEqual(p.all('addendum'), [])
  return p
}

test('the store in use is not staged, published or built', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree({ 'package.json': packageJson(), 'main.js': 'x' })
  // As a person does it: relative, from inside the folder.
  const bosc = new Bosc({ store: './.bosc', bootstrap: [{ host: '127.0.0.1', port: 9 }], cwd: dir })
  f.later(() => bosc.close())
  const { link } = await bosc.touch()
  for (const flags of [[], ['--dry-run']]) {
    await refused(bosc, ['stage', link, '.', ...flags], 'ERR_SECRET', 'bosc.redb')
  }
  writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version: '1.0.0', upgrade: link }) })
  await refused(bosc, ['publish', '.', '--copies', '0'], 'ERR_SECRET', 'bosc.redb')
  assert.equal((await bosc.ok('info', link)).all('empty').length, 1, 'nothing was staged')
  // An ignore file leaves it out, and itself.
  writeTree(dir, { '.boscignore': '# stores\n/.bosc/\n*.log\n!keep.log\n', 'a.log': 'x', 'd/keep.log': 'x' })
  const staged = await bosc.ok('stage', link, '.')
  assert.deepEqual(
    staged.all('byte-diff').map((d) => d.message).sort(),
    ['/d/keep.log', '/main.js', '/package.json']
  )
  const app = f.tree({ 'package.json': packageJson(), 'out/Demo/run': 'x' })
  fs.cpSync(path.join(dir, '.bosc'), path.join(app, 'out/Demo/cache'), { recursive: true })
  const build = ['build', '--package', path.join(app, 'package.json'), '--target', f.fresh(), '--linux-x64-app', path.join(app, 'out/Demo')]
  await refused(bosc, build, 'ERR_SECRET', path.join('Demo', 'cache'))
})

test('stores, backups and keys are known by their content', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: 'correct horse' } })
  const exported = (await bosc.touch()).link
  const other = f.bosc()
  await other.touch()
  const made = f.fresh('made')
  fs.mkdirSync(made)
  const at = (name) => path.join(made, name)
  await bosc.ok('keys', 'backup', at('backup'))
  await bosc.ok('keys', 'export', exported, '--out', at('link'))
  // No other machine has the key of this one.
  const { link } = await bosc.touch()
  await bosc.ok('updater', 'keygen', '--output', at('updater'))
  fs.copyFileSync(path.join(other.store, 'bosc.redb'), at('database'))
  fs.writeFileSync(at('npm-hypercore-sign'), z32.encode(standalone.generateKeys(passphrase()).secretKey))
  const corestore = new Corestore(path.join(f.dir, 'js'))
  await corestore.ready()
  await corestore.get({ name: 'x' }).ready()
  await corestore.close()
  fs.copyFileSync(path.join(f.dir, 'js/CORESTORE'), at('corestore'))
  for (const name of fs.readdirSync(made)) {
    const dir = f.tree({ 'package.json': packageJson(), [`assets/${name}.dat`]: fs.readFileSync(at(name)) })
    await refused(bosc, ['stage', link, dir], 'ERR_SECRET', `${name}.dat`)
    await refused(bosc, ['stage', link, dir, '--dry-run'], 'ERR_SECRET', `${name}.dat`)
    // Left out, the rest goes.
    await bosc.ok('stage', link, dir, '--ignore', 'assets')
  }
  for (const [name, way] of [['symlink', fs.symlinkSync], ['hardlink', fs.linkSync]]) {
    const dir = f.tree({ 'package.json': packageJson() })
    way(path.join(other.store, 'bosc.redb'), path.join(dir, name))
    await refused(bosc, ['stage', link, dir], 'ERR_SECRET', name)
  }
  const dir = f.tree({ 'package.json': packageJson(), 'by-arch/linux-x64/app/Demo/key': fs.readFileSync(at('updater')) })
  const manifest = ['updater', 'manifest', dir, '--url-base', 'https://x.example/u', '--out', f.fresh(), '-k', at('updater')]
  await refused(bosc, manifest, 'ERR_SECRET', 'key')
})

test('what looks secret is told before anything is written; --ci refuses it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const primary = '11'.repeat(32)
  const work = f.tree({ 'dist/package.json': packageJson(), 'dist/certs/server.pem': PEM, 'dist/.env': 'A=1\n', 'dist/a.js': 'x' })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const plain = await bosc.ok('stage', link, path.join(work, 'dist'))
  assert.deepEqual(plain.all('looks-secret').map((s) => s.path), ['.env', 'certs/server.pem'])
  assert.deepEqual(plain.last('summary').looksSecret, plain.all('looks-secret'))
  const tags = plain.lines.map((l) => l.tag)
  assert.ok(tags.indexOf('looks-secret') < tags.indexOf('summary'))
  // Nothing is read again, and it is told again.
  const again = await bosc.ok('stage', link, path.join(work, 'dist'))
  assert.deepEqual(again.all('looks-secret'), plain.all('looks-secret'))

  const ci = f.bosc({ env: { BOSC_PRIMARY_KEY: primary } })
  ci.cwd = work
  const publish = ['publish', 'dist', '--ci', '--name', 'demo', '--first', '--copies', '0', '--yes', '--wait-peers', '5', '--cache', 'mirror']
  const p = await refused(ci, publish, 'ERR_LOOKS_SECRET', '.env')
  assert.match(p.last('error').hint, /--allow/)
  await refused(ci, [...publish, '--allow', '.env'], 'ERR_LOOKS_SECRET', 'certs/server.pem')
  await ci.ok(...publish, '--allow', '.env,certs')
})

test('names that clients refuse are refused, those of other platforms told', { timeout, skip: skip || !posix }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.ok('updater', 'keygen', '--output', path.join(f.dir, 'key'))
  const bad = { 'Foo::Bar.3pm': ['Foo::Bar.3pm'], 'aux.js': ['aux.js'], 'readme.': ['readme.'], 'n/b': ['N/a', 'n/b'], 'line\nend': ['line\nend'] }
  for (const [name, files] of Object.entries(bad)) {
    const tree = (platform) =>
      f.tree({ 'package.json': packageJson(), ...Object.fromEntries(files.map((n) => [`by-arch/${platform}/app/Demo/${n}`, 'x'])) })
    const windows = tree('win32-x64')
    const shown = JSON.stringify(name).slice(1, -1)
    await refused(bosc, ['stage', link, windows], 'ERR_INVALID_NAME', shown)
    await refused(bosc, ['stage', link, windows, '--dry-run'], 'ERR_INVALID_NAME', shown)
    const app = path.join(windows, 'by-arch/win32-x64/app/Demo')
    const build = (arch) => ['build', '--package', path.join(windows, 'package.json'), '--target', f.fresh(), `--${arch}-app`, app]
    await refused(bosc, build('win32-x64'), 'ERR_INVALID_NAME', shown)
    const linux = tree('linux-x64')
    await bosc.ok(...build('linux-x64'))
    const staged = await bosc.ok('stage', link, linux)
    assert.equal(staged.all('bad-name').length, name.includes('\n') ? 1 : 0)
    // An archive is unpacked by the same rules everywhere.
    const manifest = ['updater', 'manifest', linux, '--url-base', 'https://x.example/u', '--out', f.fresh(), '-k', path.join(f.dir, 'key')]
    await refused(bosc, manifest, 'ERR_INVALID_NAME', shown)
    const old = path.join(f.tree({ 'Demo/run': { data: '#!/bin/sh\n', mode: 0o755 } }), 'Demo')
    const smoke = ['updater', 'smoke', '--old', old, '--new', path.join(linux, 'by-arch/linux-x64/app/Demo'), '--inside', 'run']
    await refused(bosc, smoke, 'ERR_INVALID_NAME', shown)
  }
  const mixed = f.tree({ ...sampleApp({ size: 1000 }), 'by-arch/win32-x64/app/Demo.exe': 'x', 'aux.js': 'x', 'N/a': 'x', 'n/b': 'x' })
  const told = (await bosc.ok('stage', link, mixed)).all('bad-name')
  assert.deepEqual(told.map((n) => `${n.system} ${n.path}`), ['Windows aux.js', 'Windows n/b'])
  for (const version of ['v1.0.1', ' 1.0.1', '1.0']) {
    assertFailed(await bosc.end(['updater', 'sign', '-b', path.join(mixed, 'aux.js'), '-v', version, '-k', path.join(f.dir, 'key')]), 'ERR_INVALID_INPUT')
  }
})

test('a package.json that clients cannot use is refused, unless that is meant', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  for (const [text, word] of [['{"name":"demo"}', 'version'], ['{"name":"demo","version":"v1.0"}', 'SemVer'], ['\ufeff' + packageJson(), 'byte-order']]) {
    const dir = f.tree({ 'package.json': text, a: 'x' })
    const p = await refused(bosc, ['stage', link, dir], 'ERR_INVALID_MANIFEST', word)
    assert.match(p.last('error').hint, /--skip-package-json/)
    await bosc.ok('stage', link, dir, '--skip-package-json')
  }
  await bosc.ok('stage', link, f.tree({ a: 'x' }), '--skip-package-json')
  if (posix) {
    const dir = f.tree({ a: 'x' })
    execFileSync('mkfifo', [path.join(dir, 'package.json')])
    for (const args of [['stage', link, dir], ['publish', dir], ['build', '--package', path.join(dir, 'package.json'), '--linux-x64-app', path.join(dir, 'a')]]) {
      const p = await bosc.end(args, { timeout: 30_000 })
      assert.notEqual(p.code, 0)
    }
  }
})

test('links of a workspace arrive, and JavaScript reads them', { timeout, skip: skip || !posix }, async (t) => {
  const f = await fixture(t)
  const w = f.tree({
    'packages/lib/index.js': 'lib',
    'packages/lib/node_modules/dep': { link: '../../../node_modules/dep' },
    'packages/lib/short': { link: 'index.js' },
    'node_modules/dep/dep.js': 'dep',
    'app/package.json': packageJson(),
    'app/node_modules/lib': { link: '../../packages/lib' },
    'app/gone': { link: 'nowhere' }
  })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const p = await bosc.ok('stage', link, path.join(w, 'app'), '--ignore', 'typo,*.map', '--only', 'node_modules,package.json,gone,sub')
  assert.deepEqual(p.all('dangling'), [{ path: 'gone', target: 'nowhere' }])
  assert.deepEqual(
    p.all('unmatched').map((u) => `${u.list} ${u.pattern}`),
    ['ignore typo', 'ignore *.map', 'only sub']
  )
  await bosc.seed(link)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: p.last('addendum').version })
  await js.fetchAll(drive)
  assert.equal((await drive.get('/node_modules/lib/node_modules/dep/dep.js')).toString(), 'dep')
  const out = f.fresh()
  await bosc.dump(link, out)
  assert.deepEqual(await driveSnapshot(drive), snapshot(out))
  assert.equal(fs.readFileSync(path.join(out, 'node_modules/lib/short'), 'utf8'), 'lib')
})

test('a dry run says that it is complete, as the original does', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const p = await bosc.ok('stage', link, f.tree({ 'package.json': packageJson() }), '--dry-run')
  assert.deepEqual(p.lines.slice(-3).map((l) => l.tag), ['skipping', 'complete', 'final'])
  assert.deepEqual(p.last('complete'), { dryRun: true })
  assert.deepEqual(p.all('addendum'), [])
})

test('files that the system makes up have their content', { timeout, skip: skip || process.platform !== 'linux' }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const dir = f.tree({ 'package.json': packageJson(), version: { link: '/proc/version' }, empty: '' })
  await bosc.ok('stage', link, dir)
  const again = await bosc.ok('stage', link, dir)
  assert.deepEqual(again.all('byte-diff'), [], 'the same content is no change')
  const out = f.fresh()
  await bosc.dump(link, out)
  assert.equal(fs.readFileSync(path.join(out, 'version'), 'utf8'), fs.readFileSync('/proc/version', 'utf8'))
  assert.equal(fs.readFileSync(path.join(out, 'empty'), 'utf8'), '')
})

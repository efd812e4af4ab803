// The commands around the pipeline: on drives made by JavaScript, and with keys that move between stores.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { boscCommand, isStandIn } from '../lib/bosc.mjs'
import { assertContent, assertFailed, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage, sleep } from '../lib/net.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'commands of bosc alone' : false
const HOST = `${process.platform}-${process.arch}`
const PASS = { BOSC_PASSPHRASE: 'correct horse battery' }
const CHANGELOG = '# Changelog\n\n## v2.0.0\n- two\n\n## v1.1.0\n- one point one\n\n## v1.0.0\n- one\n'

/** An application for this machine and two others. */
function app({ version = '1.0.0', size = 200_000, upgrade, extra = {}, name = 'Demo' } = {}) {
  return {
    'package.json': JSON.stringify({ name: 'demo', productName: name, version, upgrade, bin: { democtl: 'x' } }),
    'CHANGELOG.md': CHANGELOG,
    [`by-arch/${HOST}/app/Demo/Demo`]: { data: noise(3, size), mode: 0o755 },
    [`by-arch/${HOST}/app/Demo/lib/a.so`]: noise(4, 1000),
    [`by-arch/${HOST}/app/Demo/lib/current`]: { link: 'a.so' },
    [`by-arch/${HOST}/app/Demo/run`]: { link: 'Demo' },
    [`by-arch/${HOST}/app/democtl`]: { data: '#!/bin/sh\necho ctl\n', mode: 0o644 },
    'by-arch/darwin-arm64/app/Demo.app/Contents/MacOS/Demo': { data: 'mac', mode: 0o755 },
    'by-arch/win32-x64/app/Demo.exe': 'windows',
    ...extra
  }
}

function userDirs(f) {
  const home = f.fresh('home')
  return { home, env: { HOME: home, XDG_DATA_HOME: path.join(home, 'data'), ...PASS } }
}

test('changelog, versions, cores and doctor of a drive staged by JavaScript', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  const { link } = await describe(drive)
  const dir = f.tree(app({ version: '1.0.0', upgrade: link }))
  const staged = []
  for (const [version, extra] of [
    ['1.0.0', {}],
    ['1.0.0', { 'note.txt': 'same version, other content' }],
    ['1.1.0', { [`by-arch/${HOST}/app/Demo/lib/b.so`]: 'b' }],
    ['2.0.0-rc.1', { gone: 'x' }]
  ]) {
    writeTree(dir, { ...app({ version, upgrade: link }), ...extra })
    await jsStage(drive, dir)
    staged.push({ version, ...(await describe(drive)) })
  }
  fs.rmSync(path.join(dir, 'gone'))
  await jsStage(drive, dir)
  staged.push({ version: '2.0.0-rc.1', ...(await describe(drive)) })
  await js.join(drive)

  const bosc = f.bosc()
  const versions = await bosc.ok('versions', link)
  assert.deepEqual(
    versions.all('version').map((v) => [v.length, v.verlink, v.semver]),
    staged.map((s) => [s.length, s.verlink, s.version])
  )
  assert.deepEqual(versions.all('version').map((v) => v.released), [true, false, true, true, false])
  assert.equal((await bosc.ok('versions', link, '-m', '2')).all('version').length, 2)
  assert.equal((await bosc.ok('versions', staged[1].verlink)).all('version').length, 2)
  assert.match((await bosc.ok('versions')).last('final').bosc, /^\d+\./)

  const log = async (...args) => (await bosc.ok('changelog', link, ...args)).all('changelog').map((c) => c.version)
  assert.deepEqual(await log(), ['2.0.0'])
  assert.deepEqual(await log('--of', '1.x'), ['1.0.0', '1.1.0'])
  assert.deepEqual(await log('--full', '--max', '2'), ['1.1.0', '2.0.0'])
  assertFailed(await bosc.end(['changelog', link, '--of', 'nonsense']), 'ERR_INVALID_INPUT')
  assert.equal((await bosc.ok('changelog', dir)).all('changelog').length, 1)

  // One full copy: to look at. Two: well.
  const doctor = async (...args) => bosc.end(['doctor', link, ...args])
  const one = await doctor('--version', '1.0.5')
  assert.equal(one.code, 0, one.describe())
  const level = (p, check) => p.all('finding').filter((x) => x.check === check).map((x) => x.level)
  assert.deepEqual(level(one, 'seeders'), ['warn'])
  assert.deepEqual(level(one, 'version'), ['warn'], 'a prerelease')
  assert.deepEqual(level(one, 'upgrade'), ['ok'])
  assert.deepEqual(one.last('doctor').seeders, { peers: 1, db: 1, blobs: 1, both: 1 })
  assert.equal(one.last('client').updates, true, JSON.stringify(one.last('client')))
  assert.equal(one.last('client').platform, HOST)
  const platforms = Object.fromEntries(one.all('platform').map((p) => [p.platform, p.version]))
  assert.deepEqual(platforms, { 'darwin-arm64': '1.0.0', 'win32-x64': '1.0.0', [HOST]: '1.1.0' })

  const second = f.js()
  const copy = await second.drive(link)
  await second.join(copy)
  await second.head(copy, { length: drive.core.length })
  await second.fetchAll(copy)
  const two = await doctor('--version', '3.0.0', '--platform', 'linux-riscv64')
  assert.deepEqual(level(two, 'seeders'), ['ok'], two.describe())
  assert.equal(two.last('client').updates, false)
  assert.match(two.last('client').why.join(' '), /never go back.*no build for linux-riscv64/)
  assertFailed(await doctor('--version', 'one'), 'ERR_INVALID_INPUT')

  // A length inside the first batch is half of a stage.
  const inside = link.replace('pear://', `pear://0.${staged[0].length - 2}.`)
  const bad = await bosc.end(['doctor', inside])
  assertFailed(bad, 'ERR_UNHEALTHY')
  assert.equal(bad.code, 1)
  assert.deepEqual(level(bad, 'batch'), ['bad'])

  const cores = await bosc.ok('cores', '--all-cores')
  assert.deepEqual(cores.all('core').map((c) => c.kind).sort(), ['blobs', 'db'])
  assert.equal(cores.last('final').writable, 0)
  const bytes = (await bosc.ok('gc', 'cores', link, '--dry-run')).last('final').bytes
  assert.ok(bytes > 0)
  assert.equal((await bosc.ok('gc', 'downloads')).last('final').bytes, bytes, 'the dry run removed nothing')
  assert.equal((await bosc.ok('gc', 'cores', link)).last('final').blocks, 0)
  assert.equal((await bosc.info(link)).length, drive.core.length, 'fetched again')

  const nodes = (await bosc.ok('data', 'dht')).last('final').nodes
  assert.ok(nodes.length >= 1 && nodes.every((n) => n.host === '127.0.0.1' && n.port > 0), JSON.stringify(nodes))
})

test('doctor says what is wrong with a link nobody has, and with one nobody seeds', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const empty = await bosc.end(['doctor', link, '--timeout', '2'])
  assertFailed(empty, 'ERR_UNHEALTHY')
  assert.equal(empty.last('doctor').writable, true)
  await bosc.stage(link, f.tree(app()))
  const alone = await bosc.end(['doctor', link, '--timeout', '2'])
  assertFailed(alone, 'ERR_UNHEALTHY')
  assert.match(alone.last('error').hint, /bosc seed/)
  const away = await f.bosc().end(['doctor', link, '--timeout', '2', '--version', '1.0.0'])
  assertFailed(away, 'ERR_UNHEALTHY')
  assert.equal(away.last('client').updates, false)
})

// Beside a folder application: the list of what was installed, by which its own updates know what was added.
const UPDATERS = '.Demo.bosc'

test('install puts an application in its place, once, and takes it away', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  const dir = f.tree(app())
  await jsStage(drive, dir)
  await js.join(drive)
  const { link, verlink } = await describe(drive)
  const { home, env } = userDirs(f)
  const bosc = f.bosc({ env })
  const p = await bosc.ok('install', link)
  const [demo, ctl] = p.last('final').paths
  const expected = snapshot(path.join(dir, `by-arch/${HOST}/app/Demo`))
  assert.deepEqual(snapshot(demo), expected)
  assert.ok(demo.startsWith(home) && ctl.startsWith(home))
  assert.ok(fs.statSync(ctl).mode & 0o100, 'a program is made executable')
  assert.equal(p.all('app')[0].verlink, verlink)
  assert.equal(p.all('path').length, 1, 'a new folder is not on PATH')
  if (process.platform === 'linux') {
    const entry = fs.readFileSync(path.join(home, 'data/applications/bosc-Demo.desktop'), 'utf8')
    assert.ok(entry.includes(`Exec="${path.join(demo, 'Demo')}" %U`), entry)
  }
  const again = (await bosc.ok('install', link)).last('final')
  assert.deepEqual([again.installed, again.exists], [false, true])

  // The store kept all of it: it can be seeded when the origin is gone.
  await js.close()
  await bosc.seed(link)
  const { home: other, env: otherEnv } = userDirs(f)
  const to = path.join(other, 'not/there/yet')
  const second = f.bosc({ env: otherEnv })
  await second.ok('install', link, '--to', to, '--only', 'Demo')
  assert.deepEqual(fs.readdirSync(to).sort(), [UPDATERS, 'Demo'])
  assert.match(fs.readdirSync(path.join(to, UPDATERS)).sort().join(), /^LOCK,journal\.json(,shipped-[0-9a-f]{64})+$/)
  assert.deepEqual(snapshot(path.join(to, 'Demo')), expected)

  const removed = await bosc.ok('install', '--uninstall', link)
  assert.equal(removed.last('final').uninstalled, true)
  assert.deepEqual(Object.keys(snapshot(home)), [])
  assertFailed(await bosc.end(['install', '--uninstall', link]), 'ERR_NOT_FOUND')
})

test('install knows each place it installed to, and a refused one costs no other', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, f.tree(app()))
  await js.join(drive)
  const { link } = await describe(drive)
  const { env } = userDirs(f)
  const bosc = f.bosc({ env })
  const [one, two, three] = ['one', 'two', 'three'].map((name) => path.join(f.fresh(name), 'apps'))
  for (const to of [one, two, three]) await bosc.ok('install', link, '--to', to)
  const again = (await bosc.ok('install', link, '--to', one)).last('final')
  assert.deepEqual([again.exists, again.paths.map((file) => path.dirname(file))], [true, [one, one]])
  // A part of it, in a place that has all of it.
  await bosc.ok('install', link, '--to', one, '--only', 'Demo')
  // A folder that is refused: nothing is known of it afterwards, and the rest is.
  const file = path.join(f.tree({ file: 'mine' }), 'file')
  assertFailed(await bosc.end(['install', link, '--to', file]), 'ERR_UNWRITABLE')
  const part = await bosc.ok('install', '--uninstall', link, '--to', two)
  assert.deepEqual(part.last('final').removed.map((gone) => path.dirname(gone)).filter((dir) => dir === two), [two, two])
  assert.deepEqual(fs.readdirSync(two), [])
  assert.deepEqual(fs.readdirSync(one).sort(), [UPDATERS, 'Demo', 'democtl'])
  const nothing = await bosc.end(['install', '--uninstall', link, '--to', two])
  assertFailed(nothing, 'ERR_NOT_FOUND')
  assert.ok(nothing.last('error').hint.includes(one), nothing.describe())
  // As an older version remembered a folder that was refused.
  const installs = path.join(bosc.store, 'installs')
  const receipts = path.join(installs, fs.readdirSync(installs)[0])
  const known = JSON.parse(fs.readFileSync(receipts, 'utf8'))
  assert.equal(known.places.length, 2)
  known.places.unshift({ ...known.places[0], folders: [file], files: [path.join(file, 'Demo')], extras: [], marks: {} })
  fs.writeFileSync(receipts, JSON.stringify(known))
  const rest = await bosc.ok('install', '--uninstall', link)
  assert.ok(rest.all('warning').some((warning) => warning.file === path.join(file, 'Demo')), rest.describe())
  assert.deepEqual(rest.last('final').removed.filter((gone) => path.dirname(gone) === three).length, 2)
  assert.deepEqual([...fs.readdirSync(one), ...fs.readdirSync(three)], [])
  assertFailed(await bosc.end(['install', '--uninstall', link]), 'ERR_NOT_FOUND')
})

test('install refuses what exists, what is not there, and what leads elsewhere', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const made = async (spec, change = async () => {}) => {
    const drive = await js.touch()
    await jsStage(drive, f.tree(spec))
    await change(drive)
    await js.join(drive)
    return (await describe(drive)).link
  }
  const { home, env } = userDirs(f)
  const bosc = f.bosc({ env })
  const fail = async (link, code, ...args) => {
    const p = await bosc.end(['install', link, ...args])
    assertFailed(p, code)
    return p.last('error')
  }
  const good = await made(app())
  const to = f.tree({ Demo: 'mine' })
  await fail(good, 'ERR_EXISTS', '--to', to)
  assert.equal(fs.readFileSync(path.join(to, 'Demo'), 'utf8'), 'mine')
  await fail(good, 'ERR_NOT_FOUND', '--only', 'nothing')

  const foreign = await made({
    'package.json': JSON.stringify({ name: 'demo', version: '1.0.0' }),
    'by-arch/plan9-mips/app/demo': 'x'
  })
  assert.match((await fail(foreign, 'ERR_NOT_FOUND')).hint, /plan9-mips/)

  for (const name of ['../../evil', '/evil', 'a\\b', '..', '.hidden']) {
    await fail(await made(app({ name })), 'ERR_INVALID_MANIFEST')
  }
  const at = `/by-arch/${HOST}/app`
  for (const target of ['../../../../../../evil', '/package.json', '/etc/passwd', '../../outside']) {
    await fail(await made(app(), (drive) => drive.symlink(`${at}/Demo/lib/bad`, target)), 'ERR_UNSAFE_PATH')
  }
  await fail(
    await made({ 'package.json': JSON.stringify({ name: 'Demo', version: '1.0.0' }) }, (drive) =>
      drive.symlink(`${at}/Demo`, '/etc/passwd')
    ),
    'ERR_UNSAFE_PATH'
  )
  assert.equal(fs.existsSync(home), false, 'nothing was written')
})

test('a key exported here continues the same history there, without a fork', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 600_000 }))
  const a = f.bosc({ env: PASS })
  const { link } = await a.touch()
  const history = []
  const stage = async (bosc, version, ...flags) => {
    writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version }), [`only-in-${version}`]: noise(9, 50_000) })
    const done = await bosc.stage(link, dir, ...flags)
    history.push({ length: done.version, tree: snapshot(dir) })
    return done
  }
  await stage(a, '1.0.0')
  await a.seed(link)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive)
  const followed = async () => {
    await js.head(drive, { length: history.at(-1).length })
    await js.fetchAll(drive)
    assert.equal(drive.core.fork, 0)
    for (const { length, tree } of history) await assertContent(drive, length, tree)
  }
  await followed()

  const file = path.join(f.dir, 'link.bosc-key')
  await a.ok('keys', 'export', link, '--out', file)
  assert.equal(fs.statSync(file).mode & 0o777, 0o600)
  assertFailed(await a.end(['keys', 'export', link, '--out', file]), 'ERR_EXISTS')
  // The first machine goes on writing: it asks its peers before.
  const second = await stage(a, '1.1.0')
  await followed()

  const b = f.bosc({ env: PASS })
  assertFailed(await f.bosc({ env: { BOSC_PASSPHRASE: 'another one' } }).end(['keys', 'import', file]), 'ERR_PASSPHRASE')
  const imported = await b.ok('keys', 'import', file)
  assert.equal(imported.last('imported').link, link)
  assert.equal((await b.ok('cores', '--all-cores')).last('final').writable, 0, 'not before it has the newest version')
  await a.close() // the laptop is lost
  const third = await stage(b, '1.2.0')
  assert.ok(third.version > second.version)
  await b.seed(link)
  await followed()
  await assertSameDrive(drive, third)

  // Back on the first machine: it fetches what the second wrote, and writes on.
  await stage(a, '1.3.0')
  await a.seed(link)
  await followed()
  await assertSameDrive(drive, await b.info(link))
})

test('passphrases come from a descriptor, are long enough, and are printed nowhere', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const secret = path.join(f.dir, 'secret')
  const run = (text, ...args) => {
    fs.writeFileSync(secret, text)
    const fd = fs.openSync(secret)
    const [cmd, ...before] = boscCommand()
    const env = { ...process.env, BOSC_PASSPHRASE: '' }
    const p = spawnSync(cmd, [...before, ...bosc.args(args), '--verbose'], { stdio: ['ignore', 'pipe', 'pipe', fd], env })
    fs.closeSync(fd)
    const out = p.stdout.toString() + p.stderr
    assert.ok(!out.includes(text.trim()) || text.trim() === '', out)
    return { code: p.status, out }
  }
  const file = path.join(f.dir, 'k')
  const long = 'a passphrase of some length'
  assert.match(run('short\n', 'keys', 'export', link, '-o', file, '--passphrase-fd', '3').out, /ERR_INVALID_INPUT/)
  assert.match(run('\n', 'keys', 'export', link, '-o', file, '--passphrase-fd', '3').out, /ERR_INVALID_INPUT/)
  assert.equal(fs.existsSync(file), false)
  assert.match(run(long, 'keys', 'export', link, '-o', file).out, /no terminal/)
  assert.equal(run(`${long}\n`, 'keys', 'export', link, '-o', file, '--passphrase-fd', '3').code, 0)
  const text = fs.readFileSync(file, 'utf8')
  assert.ok(text.startsWith('bosc-key-file 1\nkind: link\nlink: pear://0.0.'), text)
  assert.match(run('another passphrase', 'keys', 'import', file, '--passphrase-fd', '3').out, /ERR_PASSPHRASE/)
  assert.match(run(long, 'keys', 'import', file, '--passphrase-fd', '3').out, /"alreadyWritable":true/)
  fs.writeFileSync(file, text.replace('scrypt 17 8 1', 'scrypt 30 8 1'))
  assert.match(run(long, 'keys', 'import', file, '--passphrase-fd', '3').out, /ERR_INVALID_KEY_FILE/)
})

test('an imported key writes nothing until the newest version is here', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 100_000 }))
  const a = f.bosc({ env: PASS })
  const { link } = await a.touch()
  await a.stage(link, dir)
  const seeding = await a.seed(link)
  const js = f.js()
  const old = await js.drive(link)
  await js.join(old)
  await js.head(old, { length: 2 })
  await js.fetchAll(old)
  const stale = old.core.length
  await js.offline()
  writeTree(dir, { more: 'newer' })
  const newest = await a.stage(link, dir)
  const file = path.join(f.dir, 'k')
  await a.ok('keys', 'export', link, '-o', file)
  await seeding.stop()

  // Nobody is there: refused, also when told that this is the newest, because it plainly is not.
  const b = f.bosc({ env: PASS })
  await b.ok('keys', 'import', file)
  writeTree(dir, { more: 'newest' })
  for (const flags of [[], ['--newest']]) assertFailed(await b.end(['stage', link, dir, ...flags]), 'ERR_NOT_NEWEST')
  // A peer that has an older version only.
  js.online({ bootstrap: f.bootstrap })
  await js.join(old)
  const p = await b.end(['stage', link, dir])
  assertFailed(p, 'ERR_NOT_NEWEST')
  assert.equal(old.core.length, stale)
  assert.equal((await b.ok('cores', '--all-cores')).last('final').writable, 0)

  // The exporting store has the newest version and nobody to ask: it writes when it is told so, not else.
  await js.close()
  assertFailed(await a.end(['stage', link, dir]), 'ERR_NOT_NEWEST')
  assert.ok((await a.stage(link, dir, '--newest')).version > newest.version)
})

test('the key of a provision link moves as well', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const a = f.bosc({ env: PASS })
  const source = (await a.touch()).link
  const target = (await a.touch()).link
  const none = target.replace('pear://', 'pear://0.0.')
  const provision = async (bosc, verlink, base = none) =>
    (await bosc.ok('provision', verlink, target, base, '--yes')).last('final').target
  const first = await provision(a, (await a.stage(source, f.tree(app({ version: '1.0.0' })))).verlink)
  const file = path.join(f.dir, 'k')
  await a.ok('keys', 'export', target, '-o', file)
  const next = await a.stage(source, f.tree(app({ version: '1.1.0' })))
  const js = f.js()
  const copies = []
  for (const [link, length] of [[source, next.version], [target, first.core.length]]) {
    await a.seed(link)
    const copy = await js.drive(link)
    await js.join(copy)
    await js.head(copy, { length })
    await js.fetchAll(copy)
    copies.push(copy)
  }
  await a.close()
  const b = f.bosc({ env: PASS })
  await b.ok('keys', 'import', file)
  const dry = await b.end(['provision', next.verlink, target, none, '--dry-run'])
  assertFailed(dry, 'ERR_PERMISSION_REQUIRED')
  const second = await provision(b, next.verlink, first.verlink)
  assert.ok(second.core.length > first.core.length, JSON.stringify(second))
  await b.seed(target)
  await js.head(copies[1], { length: second.core.length })
  await js.fetchAll(copies[1])
  assert.equal(copies[1].core.fork, 0)
  assert.equal(JSON.parse(await copies[1].get('/package.json')).version, '1.1.0')
})

test('a backup makes a new store write all its links', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const a = f.bosc({ env: PASS })
  const links = []
  for (let i = 0; i < 2; i++) {
    const { link } = await a.touch()
    await a.stage(link, f.tree(app({ version: `1.0.${i}` })))
    links.push(link)
  }
  const file = path.join(f.dir, 'backup')
  const done = await a.ok('keys', 'backup', file)
  assert.equal(done.last('final').links, 2)
  // A backup leaves this store as it is.
  await a.stage(links[0], f.tree(app({ version: '1.1.0' })))
  const lengths = []
  const js = f.js()
  for (const link of links) {
    await a.seed(link)
    const copy = await js.drive(link)
    await js.join(copy)
    lengths.push((await a.info(link)).length)
    await js.head(copy, { length: lengths.at(-1) })
    await js.fetchAll(copy)
  }
  await a.close() // the machine is gone; others have what it released

  const used = f.bosc({ env: PASS })
  await used.touch()
  assertFailed(await used.end(['keys', 'import', file]), 'ERR_STORE_IN_USE')
  const b = f.bosc({ env: PASS })
  assert.equal((await b.ok('keys', 'import', file)).last('final').imported, 2)
  for (const [i, link] of links.entries()) {
    const next = await b.stage(link, f.tree(app({ version: '2.0.0' })))
    assert.ok(next.version > lengths[i] && next.verlink.startsWith('pear://0.'))
    assert.equal((await b.ok('versions', link)).all('version').at(-2).length, lengths[i], 'one history')
  }
})

test('build killed at any moment leaves no half of a target', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const made = (seed) => {
    const spec = { 'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version: '1.0.0' }) }
    for (let i = 0; i < 60; i++) spec[`out/Demo/part-${i}`] = { data: noise(seed + i, 300_000), mode: i % 2 ? 0o755 : 0o644 }
    return f.tree(spec)
  }
  const [one, two] = [made(1), made(1000)]
  const target = f.fresh('target')
  const args = (dir) => ['build', '--package', path.join(dir, 'package.json'), '--target', target, '--linux-x64-app', path.join(dir, 'out/Demo')]
  const built = () => snapshot(path.join(target, 'by-arch/linux-x64/app/Demo'))
  const whole = [one, two].map((dir) => snapshot(path.join(dir, 'out/Demo')))
  let killed = 0
  for (let delay = 2; delay < 400 && killed < 12; delay = Math.ceil(delay * 1.5)) {
    const p = bosc.start(...args(one))
    await sleep(delay)
    p.child.kill('SIGKILL')
    await p.exited
    if (p.signal === 'SIGKILL') killed++
    if (fs.existsSync(target)) break
  }
  assert.ok(killed > 0, 'at least one was killed in time')
  if (!fs.existsSync(target)) await bosc.ok(...args(one))
  assert.deepEqual(built(), whole[0])
  // Replacing: the old one or the new one, never neither.
  for (let delay = 2; delay < 400; delay = Math.ceil(delay * 1.7)) {
    const p = bosc.start(...args(two), '--force')
    await sleep(delay)
    p.child.kill('SIGKILL')
    await p.exited
    assert.ok(fs.existsSync(path.join(target, 'package.json')))
    const now = built()
    const same = (tree) => JSON.stringify(now) === JSON.stringify(tree)
    assert.ok(whole.some(same), `after ${delay} ms: ${Object.keys(now).length} files`)
    if (same(whole[1])) break
  }
  await bosc.ok(...args(two), '--force')
  assert.deepEqual(built(), whole[1])
  const left = fs.readdirSync(path.dirname(target)).filter((n) => n.includes('bosc-build'))
  assert.deepEqual(left, [], 'what killed builds left is gone')
})

test('what bosc build makes, JavaScript stages and bosc installs', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree({
    'Cargo.toml':
      '[package]\nname = "demo"\nversion = "1.2.3"\n[package.metadata.bosc]\nproduct-name = "Demo"\nupgrade = "pear://x"\n',
    'CHANGELOG.md': CHANGELOG,
    'pear.json': '{"multisig":{}}',
    'target/Demo': { data: noise(1, 50_000), mode: 0o755 }
  })
  const bosc = f.bosc({ env: userDirs(f).env })
  const target = f.fresh('deploy')
  const p = await bosc.ok('build', '--package', dir, '--target', target, `--${HOST}-app`, path.join(dir, 'target/Demo'))
  assert.deepEqual(p.all('building').map((b) => [b.name, b.version, b.target]), [['Demo', '1.2.3', target]])
  assert.deepEqual(p.all('executable').map((e) => e.file), [path.join(target, `by-arch/${HOST}/app/Demo`)])
  assert.deepEqual(Object.keys(snapshot(target)).sort(), ['CHANGELOG.md', `by-arch/${HOST}/app/Demo`, 'package.json', 'pear.json'])
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, target)
  await js.join(drive)
  const { link } = await describe(drive)
  const [file] = (await bosc.ok('install', link)).last('final').paths
  assert.deepEqual(fs.readFileSync(file), noise(1, 50_000))
  assertFailed(await bosc.end(['build', '--package', dir, '--target', f.fresh(), `--${HOST}-app`, path.join(dir, 'pear.json')]), 'ERR_INVALID_APP_NAME')
})

test('install killed at any moment goes on when run again', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  const extra = {}
  for (let i = 0; i < 40; i++) extra[`by-arch/${HOST}/app/Demo/part-${i}`] = noise(100 + i, 700_000)
  const dir = f.tree(app({ size: 6_000_000, extra }))
  await jsStage(drive, dir)
  await js.join(drive)
  const { link } = await describe(drive)
  const whole = JSON.stringify(snapshot(path.join(dir, `by-arch/${HOST}/app/Demo`)))
  const bosc = f.bosc({ env: userDirs(f).env })
  const to = f.fresh('apps')
  const dest = path.join(to, 'Demo')
  let killed = 0
  for (const [tag, delay] of [['installing', 5], ['app', 0], ['app', 30], ['byte-diff', 0], ['byte-diff', 60], ['byte-diff', 150], ['byte-diff', 300]]) {
    const p = bosc.start('install', link, '--to', to)
    await p.until(tag).catch(() => {})
    await sleep(delay)
    p.child.kill('SIGKILL')
    await p.exited
    if (p.signal === 'SIGKILL') killed++
    if (fs.existsSync(dest)) assert.equal(JSON.stringify(snapshot(dest)), whole, `killed ${delay} ms after ${tag}`)
  }
  assert.ok(killed > 2, `${killed} were killed in time`)
  await bosc.ok('install', link, '--to', to)
  assert.equal(JSON.stringify(snapshot(dest)), whole)
  assert.deepEqual(fs.readdirSync(to).sort(), [UPDATERS, 'Demo', 'democtl'], 'no work folder is left')
  await bosc.ok('install', '--uninstall', link)
  assert.deepEqual(fs.readdirSync(to), [])
})

test('completions and manual pages come from the same definitions as the flags', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  for (const shell of ['bash', 'zsh', 'fish', 'elvish', 'powershell']) {
    const { text } = (await bosc.ok('completions', shell)).last('final')
    for (const word of ['doctor', 'linux-x64-app', 'passphrase-fd']) assert.ok(text.includes(word), `${shell}: ${word}`)
  }
  assertFailed(await bosc.end(['completions', 'tcsh']), 'ERR_INVALID_INPUT')
  const dir = f.fresh('man')
  const { pages } = (await bosc.ok('man', dir)).last('final')
  for (const page of ['bosc.1', 'bosc-build.1', 'bosc-keys-export.1']) assert.ok(pages.includes(page), page)
  assert.match(fs.readFileSync(path.join(dir, 'bosc-doctor.1'), 'utf8'), /would it update/)
})

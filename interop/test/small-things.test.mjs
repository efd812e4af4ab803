// What a person is told on the way: patterns without a match, links that lead nowhere, versions that were not raised, forks that
// are yet to come, and what bosc is when no link is given.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { noise, sampleApp, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() ? 'what bosc says' : false

test('a dry stage tells what Pear tells, and ends as it does', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const dir = f.tree({ 'package.json': '{"name":"a","version":"1.0.0"}', x: 'x', gone: { link: 'nowhere' } })
  const tags = (p) => p.lines.map((l) => l.tag).filter((tag) => tag !== 'byte-diff')
  const dry = await bosc.ok('stage', link, dir, '--dry-run', '--ignore', 'typo', '--only', 'x,gone,none')
  // As Pear 3 does it in subsystems/sidecar/ops/stage.js: `complete` comes on a dry run too, `addendum` does not.
  assert.deepEqual(tags(dry), ['staging', 'dry', 'dangling', 'unmatched', 'unmatched', 'summary', 'skipping', 'complete', 'final'])
  assert.deepEqual(dry.last('complete'), { dryRun: true })
  assert.deepEqual(dry.last('skipping'), { reason: 'dry-run', success: true })
  assert.deepEqual(dry.all('unmatched'), [{ list: 'ignore', pattern: 'typo' }, { list: 'only', pattern: 'none' }])
  assert.deepEqual(dry.all('dangling'), [{ path: 'gone', target: 'nowhere' }])
  const real = await bosc.ok('stage', link, dir)
  assert.deepEqual(tags(real), ['staging', 'dangling', 'summary', 'complete', 'addendum', 'final'])
  assert.deepEqual(real.last('complete'), { dryRun: false })

  // Of several paths, the one that the drive does not have is named; of none, it is an error.
  const out = f.fresh()
  const dump = await bosc.ok('dump', link, out, '--only', 'x,typo')
  assert.deepEqual(dump.all('unmatched'), [{ list: 'only', pattern: 'typo' }])
  assert.deepEqual(fs.readdirSync(out), ['x'])
  const list = await bosc.ok('dump', link, '-', '--list', '--only', 'x,typo')
  assert.equal(list.all('unmatched').length, 1)
  assertFailed(await bosc.end(['dump', link, f.fresh(), '--only', 'typo']), 'ERR_NOT_FOUND')
})

test('info of bosc itself, and the newest release of a link', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const none = await bosc.ok('info')
  assert.match(none.last('platform').bosc, /^\d+\.\d+\.\d+/)
  assert.equal(none.last('platform').exists, false)
  assertFailed(await bosc.end(['info', '--key']), 'ERR_INVALID_INPUT')
  const { link } = await bosc.touch()
  assert.equal((await bosc.ok('info')).last('platform').exists, true)
  await bosc.stage(link, f.tree({ ...sampleApp({ size: 1000 }), 'CHANGELOG.md': '## 2.0.0\n- two\n\n## 1.0.0\n- one\n' }))
  const shown = async (...flags) => (await bosc.ok('info', link, ...flags)).lines.map((l) => l.data?.version ?? l.tag)
  assert.deepEqual(await shown('--changelog'), ['retrieving', '2.0.0', 'final'])
  assert.deepEqual(await shown('--full-changelog'), ['retrieving', '1.0.0', '2.0.0', 'final'])
  const bare = (await bosc.touch()).link
  await bosc.stage(bare, f.tree({ 'package.json': '{"name":"a","version":"1.0.0"}' }))
  assert.equal((await bosc.ok('info', bare, '--changelog')).all('no-changelog').length, 1)
})

test('a fork that is yet to come is not one that was cut back', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const length = (await bosc.info(link)).length
  const at = (fork) => link.replace('pear://', `pear://${fork}.${length}.`)
  for (const args of [['info'], ['dump'], ['doctor'], ['changelog'], ['versions']]) {
    const end = async (fork) => bosc.end([args[0], at(fork), ...(args[0] === 'dump' ? [f.fresh()] : []), '--timeout', '1'])
    const future = await end(3)
    assertFailed(future, 'ERR_NOT_FOUND')
    assert.match(future.last('error').hint, /newer than what was found/, args[0])
  }
  await bosc.ok('stage', link, f.tree({ ...sampleApp({ size: 1000 }), y: 'y' }), '--truncate', '0')
  const past = await bosc.end(['info', at(0), '--timeout', '1'])
  assertFailed(past, 'ERR_NOT_FOUND')
  assert.match(past.last('error').hint, /cut back since/)
})

test('a release whose program says another version is named before and after it goes out', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const plist = (v) => `<plist><dict><key>CFBundleShortVersionString</key><string>${v}</string></dict></plist>`
  const app = (version, said, body) => ({
    'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version, upgrade: link }),
    'by-arch/darwin-arm64/app/Demo.app/Contents/Info.plist': plist(said),
    'by-arch/darwin-arm64/app/Demo.app/Contents/MacOS/Demo': { data: body, mode: 0o755 }
  })
  const dir = f.tree(app('1.0.4', '1.0.4', 'one'))
  assert.deepEqual((await bosc.ok('stage', link, dir)).all('version-mismatch'), [])
  writeTree(dir, app('1.0.5', '1.0.4', 'two'))
  const file = 'by-arch/darwin-arm64/app/Demo.app/Contents/Info.plist'
  const expected = [{ path: file, release: '1.0.5', running: '1.0.4' }]
  assert.deepEqual((await bosc.ok('stage', link, dir, '--dry-run')).all('version-mismatch'), expected)
  const published = await bosc.ok('publish', dir, '--yes', '--copies', '0')
  assert.deepEqual(published.all('version-mismatch'), expected)
  const findings = async () => {
    const p = await bosc.end(['doctor', link, '--timeout', '1'])
    return Object.fromEntries(p.all('finding').map((x) => [x.check, x.message]))
  }
  assert.match((await findings()).program, /the release says 1\.0\.5, the running program 1\.0\.4/)
  assert.equal((await findings()).raised, undefined)
  // The next one changes the build and raises nothing; and more that clients stumble over.
  writeTree(dir, {
    ...app('1.0.5', '1.0.5', 'three'),
    'by-arch/win32-x64/app/Demo/aux.txt/x': 'x',
    '.env': 'A=b',
    broken: { link: 'nowhere' }
  })
  fs.rmSync(path.join(dir, 'by-arch/win32-x64'), { recursive: true })
  await bosc.ok('stage', link, dir)
  const found = await findings()
  assert.match(found.raised, /darwin-arm64 changed and the version stayed 1\.0\.5/)
  assert.match(found.links, /1 links that lead nowhere: broken -> nowhere/)
  assert.match(found.secrets, /\.env/)
  assert.equal(found.program, undefined)
})

test('a dump writes holes where a file has none of its own', { timeout, skip: skip || process.platform !== 'linux' }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const size = 32 << 20
  const sparse = Buffer.alloc(size)
  noise(7, 5000).copy(sparse, 9 << 20)
  const dir = f.tree({ ...sampleApp({ size: 1000 }), sparse, zeros: Buffer.alloc(1 << 20), small: Buffer.alloc(10) })
  await bosc.stage(link, dir)
  const out = f.fresh()
  await bosc.ok('dump', link, out)
  const room = () => fs.statSync(path.join(out, 'sparse')).blocks * 512
  const same = () => ['sparse', 'zeros', 'small'].every((n) => fs.readFileSync(path.join(out, n)).equals(fs.readFileSync(path.join(dir, n))))
  assert.ok(same())
  assert.ok(room() < 1 << 20, `${room()} bytes`)
  // Over a file whose start is the same, and over one that is longer.
  fs.writeFileSync(path.join(out, 'sparse'), Buffer.concat([sparse.subarray(0, 20 << 20), noise(8, size)]))
  fs.writeFileSync(path.join(out, 'zeros'), noise(9, 1 << 20))
  await bosc.ok('dump', link, out, '--force')
  assert.ok(same())
  assert.ok(room() < 1 << 20, `${room()} bytes`)
})

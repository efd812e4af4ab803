// What goes wrong at the command line: a code, a sentence, a hint and an exit code, never a crash.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { sampleApp } from '../lib/tree.mjs'

const timeout = 120_000
const KEY = 'yryyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'

test('malformed links', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const dir = f.tree(sampleApp({ size: 1000 }))
  const links = [
    'pear://',
    'pear://nothing-of-the-kind',
    `pear://${KEY.slice(1)}`,
    `pear://${KEY}y`,
    `pear://${KEY.slice(1)}l`,
    `pear://1.${KEY}`,
    `pear://a.b.${KEY}`,
    `pear://0.1.${KEY}.${KEY}.${KEY}`,
    `pear://0.1.${KEY}.short`,
    'https://example.com/'
  ]
  for (const link of links) {
    for (const args of [['info', link], ['seed', link], ['stage', link, dir], ['dump', link, f.fresh()]]) {
      await t.test(args.slice(0, 2).join(' '), { timeout: 20_000 }, async () => {
        assertFailed(await bosc.end(args, { timeout: 15_000 }), 'ERR_INVALID_LINK')
      })
    }
  }
})

test('folders that cannot be staged', { timeout }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  assertFailed(await bosc.end(['stage', link, path.join(f.dir, 'missing')]), 'ERR_INVALID_PROJECT_DIR')
  assertFailed(await bosc.end(['stage', link, f.tree({ 'a.txt': 'no manifest' })]), 'ERR_INVALID_PROJECT_DIR')
  const file = path.join(f.tree({ 'package.json': '{}' }), 'package.json')
  assertFailed(await bosc.end(['stage', link, file]), 'ERR_INVALID_PROJECT_DIR')
  for (const text of ['{', '', 'null and void', '{"name": "x",}', '\u0000\u0001']) {
    assertFailed(await bosc.end(['stage', link, f.tree({ 'package.json': text })]), 'ERR_INVALID_MANIFEST')
  }
  assert.equal((await bosc.ok('info', link)).all('empty').length, 1, 'nothing was staged')
})

test('a link of another store is not writable here', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 1000 }))
  const { link } = await f.bosc().touch()
  const p = await f.bosc().end(['stage', link, dir])
  assertFailed(p, 'ERR_PERMISSION_REQUIRED')
  assert.ok(p.last('error').hint)
})

test('nobody seeds the link', { timeout }, async (t) => {
  const f = await fixture(t)
  const { link } = await f.bosc().touch()
  const bosc = f.bosc()
  for (const args of [['info', link], ['dump', link, f.fresh()]]) {
    const started = performance.now()
    const p = await bosc.end([...args, '--timeout', '3'], { timeout: 20_000 })
    assertFailed(p, 'ERR_NETWORK_TIMEOUT')
    const took = performance.now() - started
    assert.ok(took > 2_500 && took < 10_000, `took ${took} ms`)
  }
})

test('no network at all', { timeout }, async (t) => {
  const f = await fixture(t, { network: null })
  const { link } = await f.bosc().touch()
  const bosc = f.bosc({ bootstrap: [{ host: '127.0.0.1', port: 9 }] })
  assertFailed(await bosc.end(['info', link, '--timeout', '3'], { timeout: 20_000 }), 'ERR_NO_DHT')
})

test('a version that does not exist', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link, key } = await bosc.touch()
  const { version } = await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  await bosc.seed(link)
  const args = ['dump', `pear://0.${version + 100}.${key}`, f.fresh(), '--timeout', '3']
  assertFailed(await f.bosc().end(args, { timeout: 20_000 }), 'ERR_NOT_FOUND')
})

test('unknown words and flags', { timeout }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  for (const args of [['frobnicate'], ['touch', '--frobnicate'], ['info', `pear://${KEY}`, '--timeout', 'soon'],
    ['seed', `pear://${KEY}`, '--stats-interval', 'often'], ['seed', `pear://${KEY}`, '--until-sync', 'nobody']]) {
    assertFailed(await bosc.end(args, { timeout: 20_000 }), 'ERR_INVALID_INPUT')
  }
})

test('a target that cannot be written', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const file = path.join(f.tree({ occupied: 'a file' }), 'occupied')
  const p = await bosc.end(['dump', link, path.join(file, 'below')], { timeout: 20_000 })
  assert.notEqual(p.code, 0)
  assert.equal(p.all('error').length, 1, p.describe())
  assert.equal(fs.readFileSync(file, 'utf8'), 'a file')
})

test('no DHT node answers: said, with those tried, whatever the command waits for', { timeout, skip: isStandIn() }, async (t) => {
  const f = await fixture(t, { network: null })
  const nowhere = [{ host: '127.0.0.1', port: 9 }]
  const dir = f.tree(sampleApp({ size: 1000 }))
  const bosc = f.bosc({ bootstrap: nowhere })
  const missing = `pear://${KEY}`
  const offline = (p) => {
    assertFailed(p, 'ERR_NO_DHT')
    assert.equal(p.code, 4)
    assert.match(p.last('error').message, /127\.0\.0\.1:9/)
    assert.match(p.last('error').hint, /--bootstrap/)
  }
  for (const args of [['info', missing], ['dump', missing, f.fresh()], ['doctor', missing], ['changelog', missing], ['seed', missing]]) {
    await t.test(args[0], { timeout: 20_000 }, async () => offline(await bosc.end([...args, '--timeout', '2'], { timeout: 15_000 })))
  }
  await t.test('line list', { timeout: 20_000 }, async () => {
    const file = path.join(f.dir, 'lines.toml')
    fs.writeFileSync(file, `[line.staging]\nkind = "stage"\nlink = "${missing}"\n`)
    const p = await bosc.end(['line', 'list', '--file', file, '--timeout', '2'], { timeout: 15_000 })
    offline(p)
    assert.equal(p.all('line').length, 1)
  })
  await t.test('publish', { timeout: 30_000 }, async () => {
    assertFailed(await bosc.end(['publish', dir, '--yes'], { timeout: 25_000 }), 'ERR_LINK_MINTED')
    const p = await bosc.end(['publish', dir, '--copies', '1', '--wait', '2'], { timeout: 25_000 })
    offline(p)
    assert.match(p.last('error').causes?.join() ?? '', /is in this store/)
  })
  await t.test('a copied store, which says what it waits for before it waits', { timeout: 120_000 }, async () => {
    const { link } = await bosc.touch()
    await bosc.stage(link, dir)
    const store = f.fresh('copy')
    fs.cpSync(bosc.store, store, { recursive: true, preserveTimestamps: true })
    const begin = performance.now()
    const p = f.bosc({ store, bootstrap: nowhere }).start('stage', link, dir)
    await p.until('checking', () => true, { timeout: 100_000 })
    const told = performance.now() - begin
    await p.exited
    const all = performance.now() - begin
    offline(p)
    assert.match(p.last('error').hint, /--sole-copy/)
    assert.equal(told < all / 3, true, `told after ${told} ms of ${all}`)
  })
  await t.test('seed of an own link says so and goes on', { timeout: 30_000 }, async () => {
    const { link } = await bosc.touch()
    const seeding = bosc.start('seed', link)
    assert.deepEqual((await seeding.until('offline')).tried, ['127.0.0.1:9'])
    assert.equal(await seeding.stop(), 0)
  })
})

test('bootstrap nodes: one bad name does not fail the others, slips are named', { timeout, skip: isStandIn() }, async (t) => {
  const f = await fixture(t)
  const { host, port } = f.bootstrap[0]
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, f.tree(sampleApp({ size: 1000 })))
  await author.seed(link)
  for (const list of [`${host}:${port},`, ` ${host}:${port} , no-such-name.invalid:49737`]) {
    const bosc = f.bosc({ bootstrap: [], env: { BOSC_BOOTSTRAP: list } })
    assert.ok((await bosc.info(link)).length > 0, list)
  }
  for (const list of ['nonsense', `${host}:${port},localhost`, ',']) {
    const bosc = f.bosc({ bootstrap: [], env: { BOSC_BOOTSTRAP: list } })
    assertFailed(await bosc.end(['info', link, '--timeout', '2']), 'ERR_INVALID_INPUT')
  }
})

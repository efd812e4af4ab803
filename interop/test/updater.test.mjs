// The JavaScript updater follows a link that bosc stages.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import PearRuntimeUpdater from 'pear-runtime-updater'
import { fixture } from '../lib/fixture.mjs'
import { jsStage, describe, sleep, waitFor, within } from '../lib/net.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { Installed } from '../lib/watch.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
const host = `${process.platform}-${process.arch}`
const app = `by-arch/${host}/app/Demo`

function release(version, seed, size = 3_000_000) {
  return {
    ...sampleApp({ version, size: 1000 }),
    [app]: { data: noise(seed, size), mode: 0o755 },
    'by-arch/other-arch/app/Demo': noise(seed + 1, 500_000)
  }
}

/** An installed application and its updater, connected. */
async function installed(f, link, { version, source, directory = false }) {
  const js = f.js()
  const dir = f.fresh('data')
  const target = path.join(f.fresh('installed'), 'Demo')
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.mkdirSync(dir)
  fs.cpSync(source, target, { recursive: directory })
  const updater = new PearRuntimeUpdater({ dir, upgrade: link, name: 'Demo', version, app: target, store: js.store.session() })
  const events = []
  for (const name of ['updating', 'updated']) updater.on(name, () => events.push(name))
  updater.on('error', (err) => events.push(`error ${err.message}`))
  f.later(() => updater.close())
  await updater.ready()
  await js.join(updater.drive, { server: false, client: true })
  return { updater, events, target, js }
}

test('updating, updated, and the applied file is the staged one', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(release('1.0.0', 1))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const v1 = await bosc.stage(link, dir)
  await bosc.seed(link)
  const { updater, events, target } = await installed(f, link, { version: '1.0.0', source: path.join(dir, app) })
  await waitFor(() => updater.drive.core.length === v1.version, { what: () => 'the first head' })
  await sleep(300)
  assert.deepEqual(events, [], 'the same version is no update')

  const old = fs.readFileSync(path.join(dir, app))
  const changed = Buffer.concat([old.subarray(0, 1_500_000), noise(50, 100), old.subarray(1_500_000)])
  writeTree(dir, { ...release('1.0.1', 1), [app]: { data: changed, mode: 0o755 } })
  const updated = new Promise((resolve) => updater.once('updated', resolve))
  const v2 = await bosc.stage(link, dir)
  await within(30_000, 'updated', updated)
  assert.deepEqual(events, ['updating', 'updated'])
  assert.equal(updater.length, v2.version)

  await updater.applyUpdate()
  assert.ok(fs.readFileSync(target).equals(changed))
  assert.equal(fs.statSync(target).mode & 0o111, 0o111)
  assert.equal(fs.existsSync(updater.next), false)
})

test('an application that is a directory, with links and scripts', { timeout }, async (t) => {
  const f = await fixture(t)
  const inside = (version, seed) => ({
    'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version }),
    [`${app}/bin/demo`]: { data: noise(seed, 2_000_000), mode: 0o755 },
    [`${app}/bin/start`]: { link: 'demo' },
    [`${app}/share/empty`]: '',
    [`${app}/share/text`]: `version ${version}\n`
  })
  const tree = (version, seed) => f.tree(inside(version, seed))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const one = tree('1.0.0', 3)
  await bosc.stage(link, one)
  const two = tree('2.0.0', 4)
  await bosc.stage(link, two)
  await bosc.seed(link)
  const { updater, events, target } = await installed(f, link, {
    version: '1.0.0',
    source: path.join(one, app),
    directory: true
  })
  await waitFor(() => events.includes('updated') || events.some((e) => e.startsWith('error')), { what: () => 'updated' })
  assert.deepEqual(events, ['updating', 'updated'])
  await updater.applyUpdate()
  assert.deepEqual(snapshot(target), snapshot(path.join(two, app)))
})

test('an update that bosc relays for JavaScript', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(release('1.0.0', 1))
  const author = f.js()
  const drive = await author.touch()
  await jsStage(drive, dir)
  await author.join(drive)
  const { link } = await describe(drive)
  const seeding = await f.bosc().seed(link)
  await seeding.until('stats', (s) => s.driveSynced && s.blobsSynced)
  const { updater, target } = await installed(f, link, { version: '1.0.0', source: path.join(dir, app) })
  const updated = new Promise((resolve) => updater.once('updated', resolve))
  writeTree(dir, release('1.1.0', 9))
  await jsStage(drive, dir)
  await within(30_000, 'updated', updated)
  await updater.applyUpdate()
  assert.ok(fs.readFileSync(target).equals(fs.readFileSync(path.join(dir, app))))
})

// One link, two clients: whoever staged it, whoever follows it.
for (const by of ['bosc', 'JavaScript']) {
  test(`a link staged by ${by} is followed by pear-runtime-updater and by bosc watch`, { timeout, skip: isStandIn() }, async (t) => {
    const f = await fixture(t)
    const dir = f.tree(release('1.0.0', 1))
    const stage = by === 'bosc' ? await boscAuthor(f, dir) : await jsAuthor(f, dir)
    const source = path.join(dir, app)
    const theirs = await installed(f, stage.link, { version: '1.0.0', source })
    const ours = new Installed(f, stage.link, { version: '1.0.0', source })
    const run = ours.watch()
    await waitFor(() => theirs.updater.drive.core.length > 0, { what: () => 'the first head' })
    await sleep(500)
    assert.deepEqual([theirs.events, run.lines], [[], []], 'the same version is no update')
    const updated = new Promise((resolve) => theirs.updater.once('updated', resolve))
    writeTree(dir, { ...release('1.0.1', 1), [app]: { data: noise(60, 2_000_000), mode: 0o755 } })
    await stage.again()
    await within(30_000, 'updated', updated)
    assert.equal((await run.until('updated')).version, '1.0.1')
    await theirs.updater.applyUpdate()
    run.say('apply')
    await run.until('applied')
    for (const at of [theirs.target, ours.app]) {
      assert.ok(fs.readFileSync(at).equals(noise(60, 2_000_000)), at)
      assert.equal(fs.statSync(at).mode & 0o111, 0o111)
    }
  })
}

async function boscAuthor(f, dir) {
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, dir)
  await bosc.seed(link)
  return { link, again: () => bosc.stage(link, dir) }
}

async function jsAuthor(f, dir) {
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  await js.join(drive)
  return { link: (await describe(drive)).link, again: () => jsStage(drive, dir) }
}

// A disk that is full, a real one: every command that meets it says so, and goes on when there is room.
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import assert from 'node:assert/strict'
import { assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { sampleApp } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() ? 'the store of bosc alone' : false

/** Mounts a small disk at `dir`. Why it could not be, else nothing. */
function mount(f, dir, size) {
  fs.mkdirSync(dir)
  if (process.platform !== 'linux') return 'only Linux mounts a disk of memory'
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir], { encoding: 'utf8' })
  if (done.status !== 0) return `a disk can be mounted by root only: ${done.stderr ?? done.error}`
  f.later(() => spawnSync('umount', ['-l', dir]))
  return null
}

/** Takes all the room there is. */
function fill(dir) {
  const fd = fs.openSync(path.join(dir, 'fill'), 'w')
  for (const size of [1 << 16, 1 << 12, 1]) {
    try {
      for (;;) if (fs.writeSync(fd, Buffer.alloc(size)) === 0) break
    } catch (e) {
      assert.equal(e.code, 'ENOSPC')
    }
  }
  fs.closeSync(fd)
}

/** A deployment directory with one build. */
function deployment(f) {
  const pkg = JSON.stringify({ name: 'demo', version: '1.0.0' })
  return f.tree({ 'package.json': pkg, 'by-arch/linux-x64/app/demo': { data: '#!/bin/sh\n', mode: 0o755 } })
}

test('a full disk is ERR_DISK_FULL of every command, and nothing is lost', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const disk = path.join(f.dir, 'disk')
  const why = mount(f, disk, '4m')
  if (why) {
    console.error(`SKIPPED full-disk.test.mjs: ${why}`)
    return t.skip(why)
  }
  const other = f.bosc({ env: { BOSC_PASSPHRASE: 'secret words' } })
  const { link } = await other.touch()
  await other.stage(link, f.tree(sampleApp({ size: 8_000_000 })))
  const seeding = await other.seed(link)

  // A download that does not fit.
  const store = path.join(disk, 'store')
  const full = f.bosc({ store })
  const seed = full.start('seed', link)
  await seed.until('error', () => true, { timeout: 60_000 })
  await seed.exited
  assertFailed(seed, 'ERR_DISK_FULL')
  assert.equal(seed.code, 5)
  assert.match(seed.last('error').hint, /free some disk space/)

  const own = f.bosc({ store: path.join(disk, 'own') })
  fs.rmSync(store, { recursive: true })
  const mine = (await own.touch()).link
  fill(disk)
  for (const args of [['touch'], ['stage', mine, f.tree(sampleApp())]]) {
    const p = await own.end(args)
    assertFailed(p, 'ERR_DISK_FULL')
    assert.equal(p.code, 5)
  }
  const fresh = await f.bosc({ store: path.join(disk, 'fresh') }).end(['touch'])
  assertFailed(fresh, 'ERR_DISK_FULL')
  // Elsewhere than in the store.
  await seeding.stop('SIGTERM')
  const at = (name) => path.join(disk, name)
  const key = f.fresh('key')
  await other.ok('updater', 'keygen', '-o', key)
  for (const args of [
    ['dump', link, at('out')],
    ['man', at('man')],
    ['line', '--file', at('bosc.toml'), 'init'],
    ['multisig', 'keys', '--keys', at('keys'), 'get'],
    ['updater', 'keygen', '-o', at('key')],
    ['updater', 'manifest', deployment(f), '--url-base', 'https://example.org/', '-o', at('update'), '-k', key]
  ]) {
    const p = await other.end(args)
    assertFailed(p, 'ERR_DISK_FULL')
    assert.equal(p.code, 1)
  }

  fs.rmSync(path.join(disk, 'fill'))
  fs.rmSync(path.join(disk, 'out'), { recursive: true, force: true })
  assert.equal((await own.ok('store', 'check')).last('final').damaged, 0)
  assert.ok((await own.ok('cores', '--all-cores')).all('core').some((c) => c.link === mine))
  await own.touch()
})

test('gc gives space back on a disk that is full to the last byte', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const disk = path.join(f.dir, 'disk')
  const why = mount(f, disk, '40m')
  if (why) {
    console.error(`SKIPPED full-disk.test.mjs: ${why}`)
    return t.skip(why)
  }
  const own = f.bosc({ store: path.join(disk, 'own') })
  const { link } = await own.touch()
  await own.stage(link, f.tree(sampleApp({ size: 16_000_000 })))
  const before = await own.ok('store', 'check')
  assert.equal(before.last('final').damaged, 0)
  fill(disk)
  assertFailed(await own.end(['touch']), 'ERR_DISK_FULL')
  const free = () => fs.statfsSync(disk).bavail * fs.statfsSync(disk).bsize
  const none = free()
  const { diskBytes } = (await own.ok('gc', 'cores', link, '--force')).last('final')
  assert.ok(diskBytes > 10_000_000, `${diskBytes} bytes reported`)
  assert.ok(free() > none + 10_000_000, `${none} bytes free before, ${free()} after`)
  await own.touch()
  await own.ok('store', 'check')
})

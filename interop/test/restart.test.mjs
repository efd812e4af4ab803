// A node that knew others before it ended: it finds the network again when every bootstrap node is gone.
import test from 'node:test'
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { LOOPBACK, jsNetwork, sleep } from '../lib/net.mjs'

const skip = isStandIn() && 'JavaScript keeps no nodes'
const timeout = 120_000

test('a killed seeder is found again without any bootstrap node', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: () => jsNetwork(8) })
  const app = f.tree({ 'package.json': JSON.stringify({ name: 'again', version: '1.0.0' }), 'data.txt': 'once more' })
  const seeder = f.bosc()
  const { link } = await seeder.touch()
  await seeder.stage(link, app)
  const follower = f.bosc()
  const seeding = seeder.start('seed', link)
  await seeding.until('announced', undefined, { timeout: 40_000 })
  const second = follower.start('seed', link)
  await second.until('announced', undefined, { timeout: 40_000 })
  // Nodes are written down ten seconds after the start, with the next thing that happens.
  await sleep(22_000)
  for (const run of [seeding, second]) {
    run.child.kill('SIGKILL')
    await run.exited
  }
  const { port } = f.net.nodes[0].address()
  await f.net.nodes[0].destroy({ force: true })
  // The port stays taken, and silent: another test's network would begin there otherwise, and answer.
  const silent = dgram.createSocket('udp4')
  t.after(() => silent.close())
  await new Promise((resolve) => silent.bind(port, LOOPBACK, resolve))

  const stranger = f.bosc()
  assertFailed(await stranger.end(['info', link, '--timeout', '4']), 'ERR_NO_DHT')

  const again = seeder.start('seed', link)
  await again.until('announced', undefined, { timeout: 40_000 })
  const info = await follower.end(['info', link, '--timeout', '20'])
  assert.equal(info.code, 0, info.describe())
  const dump = await follower.end(['dump', link, f.fresh(), '--timeout', '20'])
  assert.equal(dump.code, 0, dump.describe())
})

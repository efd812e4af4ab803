// What `bosc doctor` says of the network, at sites of each kind.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { Bosc, boscCommand, isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { Sites, cannotMakeSites } from '../lib/sites.mjs'
import { removeDir, tempDir } from '../lib/tree.mjs'

const skip = isStandIn() ? 'doctor is of bosc alone' : cannotMakeSites()
const timeout = 120_000

test('doctor says which NAT it is behind, whom it reaches, and what to do', { timeout, skip }, async (t) => {
  const dir = tempDir('doctor')
  const sites = new Sites()
  t.after(async () => {
    await sites.close()
    removeDir(dir)
  })
  const [host, port] = (await sites.dht()).split(':')
  const rows = [
    ['open', 'open', { open: true, consistent: true, random: true }, false],
    ['cone', 'consistent', { open: true, consistent: true, random: true }, false],
    ['symmetric', 'random', { open: true, consistent: true, random: false }, true],
    ['blocked', 'blocked', { open: false, consistent: false, random: false }, true]
  ]
  for (const [kind, nat, reaches, advice] of rows) {
    const site = sites.site(kind === 'blocked' ? 'cone' : kind)
    if (kind === 'blocked') sites.blockUdp(site)
    const bosc = new Bosc({ store: path.join(dir, kind), bootstrap: [{ host, port }], command: sites.at(site, boscCommand()) })
    fs.mkdirSync(bosc.store)
    t.after(() => bosc.close())
    const { link } = await bosc.touch()
    const run = await bosc.end(['doctor', link, '--timeout', '5'], { timeout: 60_000 })
    const seen = run.last('nat')
    assert.equal(seen?.nat, nat, `${kind}: ${run.describe()}`)
    assert.deepEqual(seen.reaches, reaches, kind)
    assert.equal(seen.next !== null, advice, kind)
    if (kind !== 'blocked') {
      assert.ok(seen.address.startsWith(site.address), `${kind}: ${seen.address} is not ${site.address}`)
      // An empty link is what is bad here, whatever the network is.
      assertFailed(run, 'ERR_UNHEALTHY')
    } else {
      assertFailed(run, 'ERR_NO_DHT')
    }
  }
})

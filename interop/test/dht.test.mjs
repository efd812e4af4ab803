// Finding each other: networks of JavaScript nodes, of bosc nodes and of both, clients of both kinds on each.
import test from 'node:test'
import assert from 'node:assert/strict'
import DHT from 'hyperdht'
import { randomBytes } from 'node:crypto'
import idEncoding from 'hypercore-id-encoding'
import { assertContent, assertDump } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsDhtNode, jsNetwork, jsStage, parseLink, waitFor, within } from '../lib/net.mjs'
import { Bosc } from '../lib/bosc.mjs'
import { sampleApp, snapshot } from '../lib/tree.mjs'

const timeout = 180_000

/** Starts `bosc dht`; the first node of a network has no bootstrap of its own. */
async function boscNode(bootstrap = []) {
  const bosc = new Bosc({ bootstrap })
  const p = bosc.start('dht', '--port', '0')
  const { host, port } = await p.until('ready')
  assert.ok(Number.isInteger(port) && port > 0)
  return { address: { host, port }, close: () => p.stop(), process: p }
}

const networks = {
  'JavaScript only': () => jsNetwork(5),
  'bosc only': async () => {
    const nodes = [await boscNode()]
    while (nodes.length < 5) nodes.push(await boscNode([nodes[0].address]))
    return { bootstrap: [nodes[0].address], nodes, close: () => Promise.all(nodes.map((n) => n.close())) }
  },
  'bosc dht --local': async () => {
    const p = new Bosc({ bootstrap: [] }).start('dht', '--local', '--port', '0')
    const { bootstrap, nodes } = await p.until('local')
    assert.ok(nodes >= 4, 'fewer are too few for JavaScript clients')
    const [host, port] = bootstrap.split(':')
    return { bootstrap: [{ host, port: Number(port) }], close: () => p.stop() }
  },
  'mixed, bosc first': async () => {
    const first = await boscNode()
    const bootstrap = [first.address]
    const nodes = [first, await boscNode(bootstrap), await boscNode(bootstrap)]
    const js = [await jsDhtNode(bootstrap), await jsDhtNode(bootstrap)]
    return {
      bootstrap,
      close: async () => {
        for (const node of js) await node.destroy()
        for (const node of nodes) await node.close()
      }
    }
  },
  'mixed, JavaScript first': async () => {
    const js = await jsNetwork(2)
    const nodes = []
    for (let i = 0; i < 3; i++) nodes.push(await boscNode(js.bootstrap))
    return {
      bootstrap: js.bootstrap,
      close: async () => {
        for (const node of nodes) await node.close()
        await js.close()
      }
    }
  }
}

for (const [label, network] of Object.entries(networks)) {
  test(`${label}: bosc announces, both kinds find it`, { timeout }, async (t) => {
    const f = await fixture(t, { network })
    const dir = f.tree(sampleApp({ size: 200_000 }))
    const bosc = f.bosc()
    const { link } = await bosc.touch()
    const staged = await bosc.stage(link, dir)
    const seeding = await bosc.seed(link)
    const { whoami } = await seeding.until('stats')

    const js = f.js()
    const drive = await js.drive(link)
    const found = await lookup(js.swarm.dht, drive.discoveryKey)
    assert.ok(found.has(idEncoding.encode(idEncoding.decode(whoami))), 'a raw lookup returns the seeder')

    await js.join(drive, { server: false })
    await js.head(drive, { length: staged.version })
    await js.fetchAll(drive)
    await assertContent(drive, 0, snapshot(dir))
    await assertDump(f.bosc(), link, f.fresh(), snapshot(dir))
  })

  test(`${label}: JavaScript announces, both kinds find it`, { timeout }, async (t) => {
    const f = await fixture(t, { network })
    const dir = f.tree(sampleApp({ size: 200_000 }))
    const js = f.js()
    const drive = await js.touch()
    await jsStage(drive, dir)
    await js.join(drive)
    const { link, length } = await describe(drive)
    await assertDump(f.bosc(), link, f.fresh(), snapshot(dir))

    const other = f.js()
    const copy = await other.drive(link)
    await other.join(copy, { server: false })
    await other.head(copy, { length })
    await other.fetchAll(copy)
    await assertContent(copy, 0, snapshot(dir))
  })

  test(`${label}: records put by a JavaScript client are kept and given back`, { timeout }, async (t) => {
    const f = await fixture(t, { network })
    const client = () => {
      const dht = new DHT({ bootstrap: f.bootstrap })
      f.later(() => dht.destroy())
      return dht
    }
    const [a, b] = [client(), client()]
    const keyPair = DHT.keyPair()
    const topic = randomBytes(32)

    await within(30_000, 'announce', a.announce(topic, keyPair, []).finished())
    assert.ok((await lookup(b, topic)).has(idEncoding.encode(keyPair.publicKey)))
    await within(30_000, 'unannounce', a.unannounce(topic, keyPair))
    assert.equal((await lookup(b, topic)).size, 0)

    const { hash } = await within(30_000, 'immutable put', a.immutablePut(Buffer.from('fixed')))
    assert.equal((await within(30_000, 'immutable get', b.immutableGet(hash))).value.toString(), 'fixed')

    await within(30_000, 'mutable put', a.mutablePut(keyPair, Buffer.from('one'), { seq: 1 }))
    await within(30_000, 'mutable put', a.mutablePut(keyPair, Buffer.from('two'), { seq: 2 }))
    const got = await within(30_000, 'mutable get', b.mutableGet(keyPair.publicKey))
    assert.equal(got.seq, 2)
    assert.equal(got.value.toString(), 'two')
  })
}

test('a seeder that stops is no longer announced', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const seeding = await bosc.seed(link)
  const js = f.js()
  const drive = await js.drive(parseLink(link).key)
  assert.equal((await lookup(js.swarm.dht, drive.discoveryKey)).size, 1)
  await seeding.stop()
  await waitFor(async () => (await lookup(js.swarm.dht, drive.discoveryKey)).size === 0, {
    timeout: 15_000,
    interval: 200,
    what: () => 'the announcement to be withdrawn'
  })
})

/** The public keys announced at a topic. */
async function lookup(dht, topic) {
  const keys = new Set()
  const query = async () => {
    for await (const { peers } of dht.lookup(topic)) {
      for (const { publicKey } of peers) keys.add(idEncoding.encode(publicKey))
    }
  }
  await within(30_000, 'lookup', query())
  return keys
}

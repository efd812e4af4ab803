// Ports that a router leads to a seeder: a real miniupnpd on the box of a site, NAT-PMP of our own, and routers that lie. The NAT itself is
// the one of nat.test.mjs, where two symmetric ones find no way.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Bosc, boscCommand, isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fetchApart } from '../lib/apart.mjs'
import { waitFor } from '../lib/net.mjs'
import { Sites, cannotMakeRouters } from '../lib/sites.mjs'
import { removeDir, tempDir, writeTree } from '../lib/tree.mjs'

const skip = isStandIn() ? 'mapped ports of bosc alone' : cannotMakeRouters()
const timeout = 120_000
const script = (name) => fileURLToPath(new URL(`../js/${name}.mjs`, import.meta.url))

/** Runs one of our own routers on the box of a site, and collects what it says. */
async function fake(sites, site, name, ...args) {
  const inside = `192.168.${/-s(\d+)$/.exec(site.space)[1]}.1`
  const child = sites.start({ space: site.box }, process.execPath, [script(name), inside, ...args])
  const lines = []
  readline.createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  await waitFor(() => lines.some((l) => l.ready), { what: () => `${name} on ${inside}` })
  return lines
}

const rows = [
  ['upnp', 'bosc'],
  ['upnp', 'js'],
  ['pcp', 'bosc']
]
for (const [kind, fetches] of rows) {
  test(`two symmetric NATs, ${kind} at the seeder's: a ${fetches} fetcher reaches it directly, and the port is given back`, { timeout, skip }, async () => {
    const during = async ({ sites, places, seed }) => {
      const { address, by } = await seed.until('port-mapping')
      assert.equal(by, kind)
      const [port] = sites.mapped(places[0]).map((m) => m.port)
      assert.equal(address, `${places[0].address}:${port}`)
    }
    let gone
    const end = async ({ sites, places, seed }) => {
      await seed.stop('SIGTERM')
      gone = sites.mapped(places[0])
    }
    const { dump, same } = await fetchApart(['symmetric', 'symmetric'], ['bosc', fetches], {
      router: (sites, site) => sites.router(site, kind),
      before: async (all) => during(all),
      after: end,
      timeout: 30
    })
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
    assert.deepEqual(gone, [], 'nothing is left at the router')
  })
}

test('two symmetric NATs, NAT-PMP at the seeder\'s: the fetcher reaches it directly', { timeout, skip }, async () => {
  let lines
  const { dump, same } = await fetchApart(['symmetric', 'symmetric'], ['bosc', 'bosc'], {
    router: async (sites, site) => (lines = await fake(sites, site, 'nat-pmp', site.address, 'true')),
    before: async ({ seed }) => assert.equal((await seed.until('port-mapping')).by, 'nat-pmp'),
    after: async ({ seed }) => seed.stop('SIGTERM'),
    timeout: 30
  })
  assert.equal(dump.code, 0, dump.describe())
  assert.ok(same)
  assert.equal(lines.at(-1).lease, 0, `given back: ${JSON.stringify(lines)}`)
})

test('--no-port-mapping asks the router for nothing', { timeout, skip }, async () => {
  const { dump } = await fetchApart(['symmetric', 'symmetric'], ['bosc', 'bosc'], {
    router: (sites, site) => sites.router(site, 'upnp'),
    seedFlags: ['--no-port-mapping'],
    after: async ({ sites, places }) => assert.deepEqual(sites.mapped(places[0]), []),
    timeout: 10
  })
  assertFailed(dump, 'ERR_NETWORK_TIMEOUT')
})

for (const mode of ['liar', 'elsewhere']) {
  for (const fetches of ['bosc', 'js']) {
    test(`a router that lies (${mode}) is not believed: a ${fetches} fetcher punches as without it`, { timeout, skip }, async () => {
      let lines
      const { dump, same } = await fetchApart(['cone', 'cone'], ['bosc', fetches], {
        router: async (sites, site) => (lines = await fake(sites, site, 'nat-pmp', site.address, mode)),
        before: async () => waitFor(() => lines.some((l) => l.asked === 'port'), { what: () => 'a request for a port' }),
        after: async ({ seed }) => assert.deepEqual(seed.all('port-mapping'), []),
        timeout: 30
      })
      assert.equal(dump.code, 0, dump.describe())
      assert.ok(same)
    })
  }
}

for (const mode of ['huge', 'slow', 'elsewhere', 'redirect', 'control']) {
  test(`a router whose UPnP is hostile (${mode}) costs little and changes nothing`, { timeout, skip }, async () => {
    let lines
    const { dump, same } = await fetchApart(['cone', 'cone'], ['bosc', 'bosc'], {
      router: async (sites, site) => (lines = await fake(sites, site, 'igd-liar', mode)),
      before: async () => {
        const done = (l) => (mode === 'elsewhere' ? l.asked === 'search' : mode === 'huge' || mode === 'slow' ? l.closed : l.asked === '/root.xml')
        await waitFor(() => lines.some(done), { what: () => `the end of a request; ${JSON.stringify(lines)}` })
      },
      after: async ({ seed }) => assert.deepEqual(seed.all('port-mapping'), []),
      timeout: 30
    })
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
    assert.ok(!lines.some((l) => l.other), JSON.stringify(lines))
    for (const { sent } of lines.filter((l) => l.closed)) assert.ok(sent < 2 << 20, `${sent} bytes taken`)
  })
}

test('a seeder that comes into another network has its port mapped there, and doctor says so', { timeout, skip }, async (t) => {
  const dir = tempDir('mapping')
  const sites = new Sites()
  t.after(async () => {
    await sites.close()
    removeDir(dir)
  })
  const [host, port] = (await sites.dht()).split(':')
  const site = sites.site('symmetric')
  await sites.router(site, 'pcp')
  const bosc = new Bosc({ store: path.join(dir, 's'), bootstrap: [{ host, port }], command: sites.at(site, boscCommand()) })
  fs.mkdirSync(bosc.store)
  t.after(() => bosc.close())
  const { link } = await bosc.touch()
  await bosc.stage(link, writeTree(path.join(dir, 'app'), { 'package.json': '{"name":"a","version":"1.0.0"}' }))
  const doctor = await bosc.end(['doctor', link, '--timeout', '10'], { timeout: 60_000 })
  const seen = doctor.last('nat')
  assert.equal(seen.nat, 'random')
  assert.deepEqual([seen.mapping?.by, seen.mapping?.reached, seen.next], ['pcp', true, null], doctor.describe())
  assert.ok(seen.mapping.address.startsWith(site.address))
  assert.deepEqual(sites.mapped(site), [], 'doctor gives it back')

  const seed = bosc.start('seed', link)
  const first = await seed.until('port-mapping')
  assert.ok(first.address.startsWith(`${site.address}:`))
  sites.leave(site)
  sites.arrive(site)
  await sites.router(site, 'pcp')
  const moved = await seed.until('port-mapping', (m) => m.address?.startsWith(`${site.address}:`) && m.address !== first.address, { timeout: 60_000 })
  assert.equal(moved.by, 'pcp')
  await seed.stop()
  assert.deepEqual(sites.mapped(site), [])
})

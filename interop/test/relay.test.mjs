// Blind relays: bosc's for JavaScript peers, JavaScript's (npm blind-relay) for bosc, and mixed; between NATs that let no direct
// connection through, in network namespaces. The peers' bytes are what was staged, whoever relays.
import test from 'node:test'
import assert from 'node:assert/strict'
import { isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fetchApart } from '../lib/apart.mjs'
import { fixture } from '../lib/fixture.mjs'
import { cannotMakeSites } from '../lib/sites.mjs'

const skip = isStandIn() ? 'relays of bosc alone' : cannotMakeSites()
const timeout = 180_000
const NATS = ['symmetric', 'symmetric']

const rows = [
  // Seeder, fetcher, relay, and who of the two names it.
  ['bosc', 'bosc', 'bosc', [false, true]],
  ['bosc', 'bosc', 'bosc', [true, false]],
  ['bosc', 'bosc', 'js', [false, true]],
  ['bosc', 'bosc', 'js', [true, true]],
  ['js', 'js', 'bosc', [true, true]],
  ['js', 'bosc', 'bosc', [false, true]],
  ['bosc', 'js', 'bosc', [true, true]],
  ['js', 'bosc', 'js', [false, true]],
  ['bosc', 'js', 'js', [true, true]]
]
for (const [seeds, fetches, relay, named] of rows) {
  const who = named[0] && named[1] ? 'both name it' : named[0] ? 'the seeder names it' : 'the fetcher names it'
  test(`two symmetric NATs: ${seeds} seeds, ${fetches} fetches, ${relay} relays, ${who}`, { timeout, skip }, async () => {
    const { dump, same, relayed } = await fetchApart(NATS, [seeds, fetches], { relay, named, timeout: 90 })
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
    assert.ok(relayed.pairs >= 1, JSON.stringify(relayed))
    if (relay === 'bosc') assert.ok(relayed.bytes > 3_300_000, 'all of it went through the relay')
  })
}

test('a relay that is not allowed to help does not, and dump says so in time', { timeout, skip }, async () => {
  const { dump, relayed } = await fetchApart(NATS, ['bosc', 'bosc'], {
    relay: 'bosc',
    relayFlags: ['--allow', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'],
    timeout: 20
  })
  assertFailed(dump, 'ERR_NETWORK_TIMEOUT')
  assert.equal(relayed.pairs, 0)
})

// Nobody names a relay: a seeder that both reach, and that keeps nothing itself, tells that it is one.
for (const seeds of ['bosc', 'js']) {
  test(`two symmetric NATs: ${seeds} seeds, bosc fetches, a third seeder offers itself as a relay`, { timeout, skip }, async () => {
    const seedFlags = seeds === 'bosc' ? ['--stats=1'] : []
    const { dump, same, peers } = await fetchApart(NATS, [seeds, 'bosc'], { third: ['--relay-for', 'peers'], seedFlags, timeout: 90 })
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
    if (seeds === 'bosc') assert.ok(peers.some((t) => t.peers.some((p) => p.relayed && p.sentBytes > 0)), JSON.stringify(peers.slice(-2)))
  })
}

test('a third seeder that is no relay does not help', { timeout, skip }, async () => {
  const { dump } = await fetchApart(NATS, ['bosc', 'bosc'], { third: [], timeout: 15 })
  assertFailed(dump, 'ERR_NETWORK_TIMEOUT')
})

test('bosc relay: who may use it is said, its key stays, and it ends in peace', { timeout, skip: isStandIn() && skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const nobody = await bosc.end(['relay'])
  assertFailed(nobody, 'ERR_INVALID_INPUT')
  assert.match(nobody.last('error').hint, /--allow KEY.*--public/)
  assertFailed(await bosc.end(['relay', '--allow', 'nonsense']), 'ERR_INVALID_INPUT')
  const keys = []
  for (const flags of [['--public'], ['--allow', 'y'.repeat(52)]]) {
    const relay = bosc.start('relay', ...flags)
    const started = await relay.until('relaying')
    keys.push(started.key)
    assert.deepEqual([started.public, started.allowed], flags.length === 1 ? [true, 0] : [false, 1])
    await relay.until('announced')
    relay.child.kill('SIGINT')
    assert.equal(await relay.exited, 0, relay.describe())
    assert.equal(relay.last('stats').pairs, 0)
  }
  assert.equal(keys[0], keys[1])
})

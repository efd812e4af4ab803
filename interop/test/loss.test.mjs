// Over a wire that loses frames all of it arrives, and no slower than from JavaScript to JavaScript, by far; between any two. The table:
// `node bench/loss.mjs`.
import test from 'node:test'
import assert from 'node:assert/strict'
import { fetchApart } from '../lib/apart.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { overWire } from '../lib/over-wire.mjs'
import { cannotMakeWires } from '../lib/sites.mjs'

const skip = isStandIn() ? 'speed of bosc' : cannotMakeWires()
const timeout = 120_000
const wire = { loss: 2, delay: 50, rate: 100, queue: 1000 }
const bytes = 5 << 20

test('5 MiB over a wire that loses 2 % of the frames', { timeout, skip }, async () => {
  const bosc = await overWire('bosc', wire, bytes, 50)
  assert.ok(Number.isFinite(bosc), 'not all of it came')
  const js = await overWire('js', wire, bytes, 50)
  assert.ok(bosc <= 2 * js, `${bosc} ms, JavaScript ${js} ms`)
})

for (const [seeds, fetches] of [['js', 'bosc'], ['bosc', 'js'], ['bosc', 'bosc']]) {
  test(`1 MiB over a wire that loses 10 % of the frames, ${seeds} to ${fetches}`, { timeout, skip }, async () => {
    const { dump, same } = await fetchApart(['open', { ...wire, loss: 10 }], [seeds, fetches], { bytes: 1 << 20, timeout: 60 })
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same, 'other bytes came')
  })
}

// Over a wire that loses frames all of it arrives, and no slower than from JavaScript to JavaScript, by far. The table:
// `node bench/loss.mjs`.
import test from 'node:test'
import assert from 'node:assert/strict'
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

test('1 MiB over a wire that loses 10 % of the frames', { timeout, skip }, async () => {
  assert.ok(Number.isFinite(await overWire('bosc', { ...wire, loss: 10 }, 1 << 20, 50)), 'not all of it came')
})

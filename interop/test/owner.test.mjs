// Several commands on one store: the process that has it open does the work of the others, and holds none of them up.
import test from 'node:test'
import assert from 'node:assert/strict'
import { assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { sleep, within } from '../lib/net.mjs'
import { sampleApp } from '../lib/tree.mjs'

const timeout = 120_000
// The stand-in hands nothing over.
const skip = isStandIn()

test('an owner that is stopped (Ctrl+Z) holds up no other command, and begins nothing that was given up', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const seeding = await bosc.seed(link)
  seeding.child.kill('SIGSTOP')
  f.later(() => seeding.child.kill('SIGCONT'))

  const late = await bosc.end(['info', link], { timeout: 60_000 })
  assertFailed(late, 'ERR_OWNER_SILENT')
  assert.match(late.last('error').hint, /fg/)

  const given = bosc.start('stage', link, f.tree(sampleApp({ size: 5000, version: '9.9.9' })))
  await sleep(500)
  given.child.kill('SIGTERM')
  const told = performance.now()
  await given.exited
  assert.equal(given.last('error')?.code, 'ERR_INTERRUPTED', given.describe())
  assert.ok(performance.now() - told < 10_000)

  seeding.child.kill('SIGCONT')
  await sleep(1000)
  assert.equal((await bosc.info(link)).length, staged.version, 'what was cancelled is not done')
  // And the owner takes commands as before.
  assert.ok((await bosc.stage(link, f.tree(sampleApp({ size: 7000 })))).version > staged.version)
})

test('Ctrl+C ends a command whose owner is stopped, before and after that took it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  const seeding = await bosc.seed(link)
  f.later(() => seeding.child.kill('SIGCONT'))
  const nobody = (await f.bosc().touch()).link
  const end = async (p) => {
    p.child.kill('SIGINT')
    // Long before it would give the owner up, and the link.
    await within(5000, p.describe(), p.exited)
    assert.equal(p.last('error')?.code, 'ERR_INTERRUPTED', p.describe())
    assert.equal(p.code, 130)
  }
  // Taken: it waits for peers that do not come.
  const taken = bosc.start('seed', nobody, '--stats-interval', '50')
  await taken.until('stats')
  seeding.child.kill('SIGSTOP')
  await end(taken)
  // Not taken: nobody is there to answer.
  const given = bosc.start('dump', link, f.fresh())
  await sleep(500)
  await end(given)
  seeding.child.kill('SIGCONT')
  // What was ended is ended there as well.
  await bosc.info(link)
})

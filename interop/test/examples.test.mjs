// The examples that drive `bosc watch`: a program in Node that updates itself, twice, and survives a version that
// cannot start; and one in Python.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { boscCommand, isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { waitFor } from '../lib/net.mjs'
import { noise, writeTree } from '../lib/tree.mjs'

const examples = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../examples')
const host = `${process.platform}-${process.arch}`
const app = `by-arch/${host}/app/Demo`
const timeout = 120_000
const skip = isStandIn() || process.platform === 'win32'

const package_ = (version) => JSON.stringify({ name: 'demo', version })
const address = (f) => f.bootstrap.map((b) => `${b.host}:${b.port}`).join(',')
const bosc = () => path.resolve(boscCommand()[0])

test('the Node example updates itself, and a version that cannot start is rolled back', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const code = fs.readFileSync(path.join(examples, 'node/app.mjs'), 'utf8')
  const build = (version) => ({ data: code.replace("'0.0.0'", `'${version}'`), mode: 0o755 })
  const dir = f.tree({ 'package.json': package_('1.0.0'), [app]: build('1.0.0') })
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  await author.seed(link)
  // Node takes a file without an extension for a module when a package.json says so.
  const home = f.fresh('installed')
  writeTree(home, { 'package.json': '{"type":"module"}', Demo: build('1.0.0') })
  const story = path.join(home, 'story')
  fs.writeFileSync(story, '')
  const env = { ...process.env, BOSC: bosc(), UPDATER: path.join(examples, 'node'), UPGRADE: link, DATA: f.fresh('data') }
  Object.assign(env, { BOOTSTRAP: address(f), LOG: story })
  const lines = () => fs.readFileSync(story, 'utf8').trim().split('\n')
  const told = (line, times = 1) =>
    waitFor(() => lines().filter((l) => l === line).length >= times, { timeout: 60_000, what: () => `${line}\n${lines().join('\n')}` })
  // Whatever runs at the end is ended by its id: the program tells it nobody but the system.
  f.later(() => {
    for (const pid of running(home)) process.kill(pid, 'SIGTERM')
    return waitFor(() => running(home).length === 0, { what: () => 'the programs to end' })
  })
  spawn(process.execPath, [path.join(home, 'Demo')], { env, stdio: 'ignore', detached: true }).unref()
  await told('1.0.0 started')

  writeTree(dir, { 'package.json': package_('1.0.1'), [app]: build('1.0.1') })
  await author.stage(link, dir)
  await told('1.0.0 applied 1.0.1')
  await told('1.0.1 healthy true')

  // An executable that is none.
  writeTree(dir, { 'package.json': package_('1.0.2'), [app]: { data: noise(1, 20_000), mode: 0o755 } })
  await author.stage(link, dir)
  await told('1.0.1 applied 1.0.2')
  await told('1.0.1 started', 2)
  assert.match(fs.readFileSync(path.join(home, 'Demo'), 'utf8'), /const version = '1\.0\.1'/)

  // It is not offered again, and a newer one is taken.
  writeTree(dir, { 'package.json': package_('1.0.3'), [app]: build('1.0.3') })
  await author.stage(link, dir)
  await told('1.0.3 healthy true')
  assert.equal(lines().filter((l) => l.includes('applied 1.0.2')).length, 1)
})

/** Processes whose program lies below a folder (Linux), or nothing. */
function running(home) {
  if (!fs.existsSync('/proc')) return []
  return fs.readdirSync('/proc').filter((n) => /^\d+$/.test(n)).map(Number).filter((pid) => {
    try {
      return pid !== process.pid && fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(home)
    } catch {
      return false
    }
  })
}

const python = spawnSync('python3', ['--version']).status === 0

test('the Python example follows a link and applies', { timeout, skip: skip || !python }, async (t) => {
  const f = await fixture(t)
  const one = { data: noise(1, 300_000), mode: 0o755 }
  const two = { data: noise(2, 300_000), mode: 0o755 }
  const dir = f.tree({ 'package.json': package_('1.0.1'), [app]: two })
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  await author.seed(link)
  const target = path.join(f.tree({ Demo: one }), 'Demo')
  const args = [path.join(examples, 'python/updater.py'), '--bosc', bosc(), '--upgrade', link, '--app', target]
  args.push('--name', 'Demo', '--version', '1.0.0', '--dir', f.fresh('data'), '--delay', '0', '--bootstrap', address(f))
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  f.later(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text) => (out += text))
  const code = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(code, 0, out)
  assert.deepEqual(out.trim().split('\n'), ['updating 1.0.1', 'updated 1.0.1', 'applied 1.0.1'])
  assert.ok(fs.readFileSync(target).equals(two.data))
})

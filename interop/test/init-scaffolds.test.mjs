// `bosc init` in projects as their own scaffolding tools make them, and `publish` right after it.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'

const timeout = 120_000
const skip = isStandIn()
const host = `${process.platform}-${process.arch}`
// A small program of this platform.
const program = fs.realpathSync('/bin/true')
const bin = (name) => path.join(import.meta.dirname, '../node_modules/.bin', name)
// npm's create-tauri-app is this binary behind a choice of platforms, of which not every registry has all.
const tauri = `require(${JSON.stringify(path.join(import.meta.dirname, '../node_modules/create-tauri-app-linux-x64-gnu'))}).run(process.argv.slice(1), 'create-tauri-app')`

/** Makes a project in a new folder of the fixture. */
function scaffold(f, program, ...args) {
  const dir = f.fresh('scaffold')
  fs.mkdirSync(dir)
  const made = spawnSync(program, args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
  assert.equal(made.status, 0, `${program}: ${made.stdout}${made.stderr}`)
  return path.join(dir, 'my-app')
}

/** Where bosc.toml says that the build for this platform is. */
function buildOf(dir, version) {
  const line = fs.readFileSync(path.join(dir, 'bosc.toml'), 'utf8').split('\n').find((l) => l.startsWith(`${host} = `))
  assert.ok(line, fs.readFileSync(path.join(dir, 'bosc.toml'), 'utf8'))
  return path.join(dir, JSON.parse(line.slice(line.indexOf('"'))).replaceAll('{version}', version))
}

const kinds = [
  {
    kind: 'Tauri',
    skip: host !== 'linux-x64' && 'the scaffolding tool is here for another platform',
    make: (f) => scaffold(f, process.execPath, '-e', tauri, '--', 'my-app', '--template', 'vanilla', '--manager', 'npm', '-y'),
    version: '0.1.0', says: 'src-tauri/tauri.conf.json', upgrade: (json) => json.plugins.bosc.upgrade, build: 'npm run tauri -- build'
  },
  {
    kind: 'electron-builder',
    make: (f) => scaffold(f, bin('create-electron'), 'my-app', '--template', 'vanilla', '--skip'),
    // Its scripts with electron-builder are for one system each.
    version: '1.0.0', says: 'package.json', upgrade: (json) => json.upgrade, build: 'npm run build && npx electron-builder'
  },
  {
    kind: 'Cargo',
    make: (f) => scaffold(f, 'cargo', 'init', '--quiet', '--vcs', 'none', 'my-app'),
    version: '0.1.0', says: 'Cargo.toml', upgrade: (text) => /upgrade = "(.*)"/.exec(text)[1], build: 'cargo build --release'
  }
]

for (const { kind, skip: elsewhere, make, version, says, upgrade, build } of kinds) {
  test(`a project as ${kind} makes it: init, build, publish, dump`, { timeout, skip: skip || elsewhere }, async (t) => {
    const f = await fixture(t)
    const dir = make(f)
    const bosc = f.bosc()
    const dry = await bosc.end(['init', dir, '--yes', '--dry-run'])
    assert.ok(!fs.existsSync(path.join(dir, 'bosc.toml')), 'a dry run writes nothing')
    assert.ok(dry.lines.at(-1).data.next.includes(build), JSON.stringify(dry.lines.at(-1)))
    await bosc.end(['init', dir, '--yes'])
    const again = await bosc.end(['init', dir, '--yes'])
    assert.ok(!again.lines.some((l) => l.tag === 'writes'), JSON.stringify(again.lines))

    // Stands in for what the build command makes, which takes minutes.
    const made = buildOf(dir, version)
    fs.mkdirSync(path.dirname(made), { recursive: true })
    fs.copyFileSync(program, made)
    const published = await bosc.end(['publish', dir, '--copies', '0'])
    const text = fs.readFileSync(path.join(dir, says), 'utf8')
    const link = upgrade(says.endsWith('.json') ? JSON.parse(text) : text)
    assert.match(link, /^pear:\/\/[a-z0-9]{52}$/)
    assert.ok(JSON.stringify(published.lines).includes(link.slice('pear://'.length)))

    const seed = await bosc.seed(link)
    const out = f.fresh()
    await f.bosc().end(['dump', link, out])
    const app = path.join(out, 'by-arch', host, 'app')
    const [name] = fs.readdirSync(app)
    assert.equal(fs.statSync(path.join(app, name)).size, fs.statSync(program).size)
    assert.equal(JSON.parse(fs.readFileSync(path.join(out, 'package.json'))).version, version)
    await seed.stop()
  })
}

// `bosc init` as somebody types it at a terminal: what is asked, what is shown, and that `publish` and `seed` come right after it.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { Terminal } from '../lib/terminal.mjs'

const timeout = 120_000
const skip = isStandIn()
const host = `${process.platform}-${process.arch}`
const script = { data: '#!/bin/sh\necho hello\n', mode: 0o755 }
const answer = async (terminal, question, text) => {
  await terminal.shows(question)
  terminal.type(text)
  terminal.key('Enter')
}

test('a folder of builds: two questions, a link, a release, a seeder', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree({ 'hello world': script, tool: script })
  const bosc = f.bosc()
  const terminal = new Terminal(f, { columns: 100, rows: 50 })
  const init = terminal.run(bosc, 'init', dir)
  await answer(terminal, /^What is the application called\? \[tree1\] *$/, 'no/name')
  await terminal.shows(/^"no\/name" cannot be the name of an application: it has '\/' in it;/)
  await answer(terminal, /^What is the application called\? \[tree1\] *$/, 'Hello')
  await answer(terminal, /^Which version is it\? \[1\.0\.0\] *$/, 'one')
  await terminal.shows(/^A version is three numbers, as in 1\.2\.3$/)
  await answer(terminal, /^Which version is it\? \[1\.0\.0\] *$/, '')
  assert.equal(await init.ended(), 0)
  const shown = terminal.history()
  assert.ok(shown.includes(`  ${host.padEnd(12)}  hello world`), shown.join('\n'))
  for (const line of [/^new +bosc\.toml$/, /^new +\.boscignore$/, /^new +\.github\/workflows\/bosc-publish\.yml$/, /^New link pear:\/\//]) {
    assert.ok(shown.some((l) => line.test(l)), `${line}\n${shown.join('\n')}`)
  }
  assert.ok(!shown.some((l) => l.includes('[y/N]')), 'nothing is there that would be changed')
  const { name, productName, version, upgrade } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json')))
  assert.deepEqual([name, productName, version], ['hello', 'Hello', '1.0.0'])

  terminal.key('C-l')
  assert.equal(await terminal.run(bosc, 'publish', dir, '--copies', '0').ended(), 0)
  await terminal.shows(/^Staging complete$/)
  const again = terminal.run(bosc, 'init', dir)
  await terminal.shows(/^Nothing to do: everything is there$/)
  assert.equal(await again.ended(), 0)
  terminal.key('C-l')
  const seed = terminal.run(bosc, 'seed', upgrade)
  await terminal.shows(/^ *announced: pear:\/\//)
  const other = f.bosc()
  const out = f.fresh()
  await other.end(['dump', upgrade, out])
  assert.ok(fs.statSync(path.join(out, `by-arch/${host}/app/Hello`)).mode & 0o100)
  terminal.key('C-c')
  assert.equal(await seed.ended(10_000), 0)
  await terminal.usable()
})

test('several applications: which one, a diff, and a no that writes nothing', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const cargo = (name) => `[package]\nname = "${name}"\nversion = "0.1.0"\n`
  const dir = f.tree({
    'Cargo.toml': '[workspace]\nmembers = ["crates/*"]\n',
    'crates/one/Cargo.toml': cargo('one'), 'crates/one/src/main.rs': '',
    'crates/two/Cargo.toml': cargo('two'), 'crates/two/src/main.rs': ''
  })
  const bosc = f.bosc({ bootstrap: [] })
  const files = () => spawnSync('find', [dir, '-type', 'f'], { encoding: 'utf8' }).stdout.split('\n').sort()
  const before = files()
  const terminal = new Terminal(f, { columns: 100, rows: 50 })
  let init = terminal.run(bosc, 'init', dir)
  await terminal.shows(/^ +two +Cargo, crates\/two\/Cargo\.toml$/)
  await answer(terminal, /^Which one\? \[one\] *$/, 'three')
  await terminal.shows(/^There is no three$/)
  await answer(terminal, /^Which one\? \[one\] *$/, 'two')
  await terminal.shows(/^\+\[package\.metadata\.bosc\]$/)
  await terminal.shows(/^\+upgrade = "pear:\/\/\(made when this is written\)"$/)
  await answer(terminal, /^Change these files as shown\? \[y\/N\] *$/, '')
  assert.equal(await init.ended(), 130)
  assert.deepEqual(files(), before)
  terminal.key('C-l')
  init = terminal.run(bosc, 'init', dir, '--app', 'two')
  await answer(terminal, /^Change these files as shown\? \[y\/N\] *$/, 'y')
  assert.equal(await init.ended(), 0)
  assert.match(fs.readFileSync(path.join(dir, 'crates/two/Cargo.toml'), 'utf8'), /^upgrade = "pear:\/\/[a-z0-9]{52}"$/m)
  assert.ok(fs.existsSync(path.join(dir, 'crates/two/src/updates.rs')))

  // Ctrl+C and Ctrl+D at a question leave everything as it was.
  const bare = f.tree({ a: script, b: script })
  for (const key of ['C-c', 'C-d']) {
    terminal.key('C-l')
    init = terminal.run(bosc, 'init', bare)
    await terminal.shows(/^What is the application called\?/)
    terminal.key(key)
    assert.equal(await init.ended(10_000), 130)
    assert.deepEqual(fs.readdirSync(bare).sort(), ['a', 'b'])
    await terminal.usable()
  }
})

test('20 columns and a dumb terminal', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  for (const options of [{ columns: 20, rows: 60 }, { term: 'dumb', rows: 60 }]) {
    const dir = f.tree({ 'package.json': '{"name":"hello","version":"1.0.0","pear":{}}\n' })
    const terminal = new Terminal(f, options)
    const init = terminal.run(f.bosc({ bootstrap: [] }), 'init', dir)
    await terminal.shows(/\[y\/N\]/)
    terminal.type('y')
    terminal.key('Enter')
    assert.equal(await init.ended(), 0)
    assert.match(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'), /"upgrade":"pear:/)
    await terminal.usable()
  }
})

// What a workflow says is YAML, and what its shell lines do is what docs/ci.md asks for: both tried, not read.
test('the workflows are YAML, and their lines put builds where publish takes them', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const yaml = spawnSync('python3', ['-c', 'import yaml'])
  if (yaml.status !== 0) return t.skip('there is no YAML to be had')
  const dir = f.tree({
    'package.json': JSON.stringify({ name: 'hello', productName: 'Hello + World (1)'.replace(/[()]/g, ''), version: '1.0.0', devDependencies: { '@electron-forge/cli': '7' } }),
    [`out/Hello + World 1-${host}/hello`]: script
  })
  const bosc = f.bosc({ bootstrap: [] })
  await bosc.end(['init', dir, '--yes'])
  await bosc.end(['init', dir, '--yes', '--ci', 'gitlab'])
  const read = (file) => JSON.parse(spawnSync('python3', ['-c', 'import yaml,json,sys; print(json.dumps(yaml.load(open(sys.argv[1]), yaml.BaseLoader)))', path.join(dir, file)], { encoding: 'utf8' }).stdout)
  const github = read('.github/workflows/bosc-publish.yml')
  const [build] = github.jobs.build.strategy.matrix.include
  assert.deepEqual([build.platform, build.as], [host, 'Hello + World 1'])
  const lines = github.jobs.build.steps.find((s) => s.run?.includes('mkdir')).run
  const filled = lines.replaceAll(/\$\{\{ matrix\.(\w+) \}\}/g, (_, key) => build[key])
  assert.equal(spawnSync('bash', ['-euc', filled], { cwd: dir }).status, 0)
  const publish = github.jobs.publish.steps
  const unpack = publish.find((s) => s.run?.includes('*.tar')).run
  fs.rmSync(path.join(dir, 'builds'), { recursive: true })
  assert.equal(spawnSync('bash', ['-euc', unpack], { cwd: dir }).status, 0)
  assert.ok(fs.statSync(path.join(dir, 'builds', host, 'Hello + World 1/hello')).mode & 0o100)
  const action = publish.find((s) => s.uses?.includes('bosc')).with
  assert.deepEqual([action.folder, action.builds], ['.', 'builds'])
  assert.match(action.name, /^hello-world-1-[a-z0-9]{8}$/)
  const gitlab = read('.gitlab-ci.yml')
  const copy = gitlab[`build-${host}`].script.find((l) => l.startsWith('cp '))
  fs.rmSync(path.join(dir, 'builds', host, 'Hello + World 1'), { recursive: true })
  assert.equal(spawnSync('bash', ['-euc', copy], { cwd: dir }).status, 0)
  assert.ok(gitlab.publish.script.some((l) => l.includes('ci-publish.sh')))
})

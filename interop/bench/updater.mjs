// The updater of bosc beside that of JavaScript: the same drive, staged and seeded by JavaScript, the same installed
// application, in one run. Quote the ratios. `--quick` uses small data, `--runs N` sets the number of runs (3).
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Running, boscCommand } from '../lib/bosc.mjs'
import { JsPeer, describe, jsNetwork, jsStage, sleep } from '../lib/net.mjs'
import { noise, removeDir, tempDir } from '../lib/tree.mjs'
import { SETS } from './data.mjs'
import { median, usage } from './measure.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const quick = process.argv.includes('--quick')
const at = process.argv.indexOf('--runs')
const runs = at > 0 ? Number(process.argv[at + 1]) : quick ? 1 : 3
const host = `${process.platform}-${process.arch}`
const LONG = { timeout: 300_000 }

const tiny = {
  what: () => 'one file of 1 MiB',
  name: 'Tiny',
  make(dir) {
    this.write(dir, 1, '1.0.0')
  },
  second(dir) {
    this.write(dir, 2, '1.0.1')
  },
  third(dir) {
    this.write(dir, 3, '1.0.2')
  },
  write(dir, seed, version) {
    const app = path.join(dir, `by-arch/${host}/app`)
    fs.mkdirSync(app, { recursive: true })
    fs.writeFileSync(path.join(app, 'Tiny'), noise(seed, 1 << 20), { mode: 0o755 })
    fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ name: 'tiny', version }))
  }
}

const app = {
  ...SETS.app,
  name: 'App',
  make(dir) {
    SETS.app.make(dir, quick)
    const made = path.join(dir, 'by-arch/linux-x64')
    if (host !== 'linux-x64') fs.renameSync(made, path.join(dir, `by-arch/${host}`))
  },
  third(dir) {
    const program = path.join(dir, `by-arch/${host}/app/App/bin/app`)
    const data = fs.readFileSync(program)
    const place = data.length >> 2
    fs.writeFileSync(program, Buffer.concat([data.subarray(0, place), noise(300, 100), data.subarray(place)]))
    fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ name: 'app', productName: 'App', version: '1.0.2' }))
  }
}

const sides = {
  js: (dir, bootstrap, link, target, name) =>
    new Running([dir, bootstrap, link, target, name, '1.0.0'], {
      command: [process.execPath, path.join(here, 'js-updater.mjs')],
      stdin: 'pipe'
    }),
  bosc: (dir, bootstrap, link, target, name) => {
    const args = ['--json', '--bootstrap', bootstrap, 'watch', '--upgrade', link, '--app', target]
    return new Running([...args, '--name', name, '--version', '1.0.0', '--dir', dir, '--delay', '0'], {
      command: boscCommand(),
      stdin: 'pipe'
    })
  }
}

async function one(set, side, net) {
  const work = tempDir('bench')
  const tree = path.join(work, 'tree')
  fs.mkdirSync(tree)
  set.make(tree)
  const author = new JsPeer(net.bootstrap)
  const drive = await author.touch()
  await jsStage(drive, tree)
  const target = path.join(work, 'installed', set.name)
  fs.mkdirSync(path.dirname(target))
  fs.cpSync(path.join(tree, `by-arch/${host}/app/${set.name}`), target, { recursive: true, verbatimSymlinks: true })
  await author.join(drive)
  const { link } = await describe(drive)
  const dir = path.join(work, 'data')
  fs.mkdirSync(dir)
  const out = {}
  // A fresh install meets a newer release: everything is new to it.
  set.second(tree)
  await jsStage(drive, tree)
  const { host: h, port } = net.bootstrap[0]
  const p = sides[side](dir, `${h}:${port}`, link, target, set.name)
  try {
    const first = await p.untilLine('updated', () => true, LONG)
    out.firstReceived = first.data.received
    const updating = p.lines.find((l) => l.tag === 'updating')
    out.firstMs = first.at - updating.at
    await sleep(1500)
    // The next one, while it runs.
    set.third(tree)
    const from = p.lines.length
    const clock = await stageAndClock(drive, tree)
    const next = await p.untilLine('updated', () => true, { ...LONG, from })
    out.nextReceived = next.data.received
    out.nextUpdatingMs = p.lines.slice(from).find((l) => l.tag === 'updating').at - clock
    out.nextMs = next.at - clock
    const applied = performance.now()
    p.child.stdin.write('apply\n')
    const done = await p.untilLine('applied', () => true, LONG)
    out.applyMs = done.at - applied
    out.rss = usage(p.pid).rss
  } finally {
    p.child.kill('SIGINT')
    await p.exited
    await author.close()
    removeDir(work)
  }
  return out
}

/** Stages, and gives the time at which the head that peers are told of was there. */
async function stageAndClock(drive, tree) {
  let clock = 0
  const seen = () => {
    clock = performance.now()
  }
  drive.core.once('append', seen)
  await jsStage(drive, tree)
  return clock
}

const rows = [
  ['first update after the install, received', 'firstReceived', 'B'],
  ['first update after the install, updating to updated', 'firstMs', 'ms'],
  ['next update, received', 'nextReceived', 'B'],
  ['next update, append to updating', 'nextUpdatingMs', 'ms'],
  ['next update, append to updated', 'nextMs', 'ms'],
  ['apply', 'applyMs', 'ms'],
  ['peak memory', 'rss', 'MiB']
]
const net = await jsNetwork()
try {
  for (const set of [tiny, app]) {
    const results = { js: [], bosc: [] }
    for (let i = 0; i < runs; i++) {
      for (const side of Object.keys(results)) results[side].push(await one(set, side, net))
    }
    console.log(`\n${set.name}: ${set.what(quick)}\n\n| | JavaScript | bosc | ratio |\n|---|---|---|---|`)
    for (const [what, field, unit] of rows) {
      const [js, bosc] = ['js', 'bosc'].map((s) => median(results[s].map((r) => r[field])))
      const show = (n) => `${unit === 'B' ? n.toLocaleString('en') : n.toFixed(1)} ${unit}`
      console.log(`| ${what} | ${show(js)} | ${show(bosc)} | ${(bosc / js).toFixed(3)} |`)
    }
  }
} finally {
  await net.close()
}
process.exit(0)

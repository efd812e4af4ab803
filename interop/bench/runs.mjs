// The measurements themselves. Each returns plain numbers; bench.mjs takes medians and prints.
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Running } from '../lib/bosc.mjs'
import { SETS, measureTree } from './data.mjs'
import { median, usage, wireBytes } from './measure.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const MB = 1e6
const SYNC = { timeout: 600_000 }

function copyTree(from, to) {
  fs.rmSync(to, { recursive: true, force: true })
  execFileSync('cp', ['-r', from, to])
  execFileSync('sync', ['-f', to])
}

const blobBytes = (p) => p.last('addendum').blobs.byteLength

/** cp -r, sync and one hash pass: what the machine needs at least for the same work. */
export function baseline(source, work) {
  const to = path.join(work, 'baseline')
  fs.rmSync(to, { recursive: true, force: true })
  const started = performance.now()
  execFileSync('cp', ['-r', source, to])
  execFileSync('sync', ['-f', to])
  execFileSync('sh', ['-c', 'find "$1" -type f -print0 | xargs -0 b2sum -l 256 > /dev/null', 'sh', to])
  const wall = (performance.now() - started) / 1000
  fs.rmSync(to, { recursive: true, force: true })
  return { wall }
}

/** Stages cold, unchanged and the second version; leaves the store, holding both, to the caller. */
export async function stage(side, set, source, work) {
  const tree = path.join(work, 'tree')
  copyTree(source, tree)
  await sleep(1500)
  const bosc = side.at(path.join(work, `store-${side.name}`))
  const { link } = await bosc.touch()
  const out = {}
  let bytes = 0
  for (const step of ['cold', 'unchanged', 'second']) {
    if (step === 'second') {
      SETS[set].second(tree)
      execFileSync('sync', ['-f', tree])
      await sleep(1500)
    }
    const { p, wall, cpu, rss } = await side.measure(bosc, ['stage', link, tree])
    out[step] = { wall, cpu, rss, bytes: blobBytes(p) - bytes }
    bytes = blobBytes(p)
  }
  fs.rmSync(bosc.store, { recursive: true, force: true })
  return out
}

/** `touch` and `info` of an own link, whole process. */
export async function small(side, work) {
  const tree = path.join(work, 'tree')
  fs.rmSync(tree, { recursive: true, force: true })
  fs.mkdirSync(tree, { recursive: true })
  fs.writeFileSync(path.join(tree, 'package.json'), '{"name":"tiny","version":"1.0.0"}')
  const bosc = side.at(path.join(work, `store-${side.name}`))
  const touch = []
  const info = []
  let link = null
  for (let i = 0; i < 7; i++) {
    const { p, wall } = await side.measure(bosc, ['touch'])
    link = p.last('final').link
    touch.push(wall * 1000)
  }
  await bosc.stage(link, tree)
  for (let i = 0; i < 7; i++) info.push((await side.measure(bosc, ['info', link])).wall * 1000)
  fs.rmSync(bosc.store, { recursive: true, force: true })
  return { touch: median(touch), info: median(info) }
}

/** Runs `act` with the bootstrap nodes of a network that lasts as long. */
export async function withNetwork(act) {
  const net = await network()
  try {
    return await act(net.bootstrap)
  } finally {
    await net.close()
  }
}

/** A tree of `data.mjs` with the builds of this machine's kind. */
export function forHost(tree) {
  const host = `${process.platform}-${process.arch}`
  const made = path.join(tree, 'by-arch/linux-x64')
  if (host !== 'linux-x64' && fs.existsSync(made)) fs.renameSync(made, path.join(tree, `by-arch/${host}`))
}

/**
 * The application of the set `app`, installed in `work`, and a seeded link with the version after it. Gives the words that `watch`
 * follows it with, and the seeder.
 */
export async function installedApp(author, work, bootstrap, quick) {
  const tree = path.join(work, 'app')
  SETS.app.make(tree, quick)
  forHost(tree)
  const target = path.join(work, 'installed', 'App')
  fs.cpSync(path.join(tree, `by-arch/${process.platform}-${process.arch}/app/App`), target, { recursive: true, verbatimSymlinks: true })
  const { link } = await author.touch()
  await author.stage(link, tree)
  SETS.app.second(tree)
  fs.writeFileSync(path.join(tree, 'CHANGELOG.md'), '# Changelog\n\n## v1.0.1\n\n- another\n')
  await author.stage(link, tree)
  const seeder = await author.seed(link)
  const { host, port } = bootstrap[0]
  const data = path.join(work, 'data')
  fs.mkdirSync(data)
  const watch = ['--json', '--bootstrap', `${host}:${port}`, 'watch', '--upgrade', link, '--app', target, '--name', 'App',
    '--version', '1.0.0', '--dir', data, '--delay', '0']
  return { watch, seeder }
}

/** A network of JavaScript DHT nodes in a process of its own. */
export async function network() {
  const p = new Running([], { command: [process.execPath, path.join(here, 'testnet.mjs')] })
  const bootstrap = await p.until('ready')
  return { bootstrap, close: () => p.stop() }
}

/** A store with the data set staged, seeding. */
async function seeder(side, source, work, bootstrap) {
  const tree = path.join(work, 'tree')
  copyTree(source, tree)
  const bosc = side.at(path.join(work, `seeder-${side.name}`), bootstrap)
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, tree)
  const process = await bosc.seed(link, '--stats-interval', '1000')
  return { bosc, link, tree, staged, process, close: () => bosc.close() }
}

const complete = (length) => (s) => s.driveLength >= length && s.driveSynced && s.blobsSynced

/**
 * One seeder, one downloader that takes everything, then the second version by the same downloader
 * started again. Ends with a dump into a folder by a fresh store.
 */
export async function oneToOne(side, set, source, work, bootstrap) {
  const s = await seeder(side, source, work, bootstrap)
  const { bytes } = measureTree(s.tree)
  const other = side.at(path.join(work, `other-${side.name}`), bootstrap)
  try {
    const full = await sync(side, other, s, s.staged.version, bytes)
    SETS[set].second(s.tree)
    const second = await s.bosc.stage(s.link, s.tree)
    const step = await sync(side, other, s, second.version, bytes)
    step.appended = second.blobs.byteLength - s.staged.blobs.byteLength

    const fresh = side.at(path.join(work, `fresh-${side.name}`), bootstrap)
    const out = path.join(work, 'out')
    const { wall, cpu, rss } = await side.measure(fresh, ['dump', s.link, out, '--timeout', '120'])
    const dump = { wall, cpu, rss, rate: bytes / MB / wall }
    execFileSync('diff', ['-r', '--no-dereference', s.tree, out])
    fs.rmSync(out, { recursive: true, force: true })
    fs.rmSync(fresh.store, { recursive: true, force: true })
    return { full, step, dump }
  } finally {
    await s.close()
    for (const dir of [s.bosc.store, other.store]) fs.rmSync(dir, { recursive: true, force: true })
  }
}

async function sync(side, other, s, length, bytes) {
  const wire = wireBytes()
  const before = usage(s.process.pid)
  const started = performance.now()
  const p = other.start('seed', s.link, '--stats-interval', '20')
  const peer = await p.untilLine('peer-add', () => true, SYNC)
  const done = await p.untilLine('stats', complete(length), SYNC)
  const own = usage(p.pid)
  const after = usage(s.process.pid)
  const moved = wireBytes() - wire
  await p.stop()
  const seconds = (done.at - peer.at) / 1000
  return {
    wall: (done.at - started) / 1000,
    sync: seconds,
    rate: bytes / MB / seconds,
    cpu: own.cpu,
    rss: own.rss,
    seederCpu: after.cpu - before.cpu,
    seederRss: after.rss,
    wire: moved,
    overhead: (moved / bytes - 1) * 100
  }
}

/** One seeder, `count` downloaders that dump at the same time. */
export async function oneToMany(side, source, work, bootstrap, count) {
  const s = await seeder(side, source, work, bootstrap)
  const { bytes } = measureTree(s.tree)
  const wire = wireBytes()
  const before = usage(s.process.pid)
  try {
    const started = performance.now()
    const stores = Array.from({ length: count }, (_, i) => side.at(path.join(work, `d${i}-${side.name}`), bootstrap))
    const all = await Promise.all(
      stores.map((b, i) => side.measure(b, ['dump', s.link, path.join(work, `out-${i}`), '--timeout', '300']))
    )
    const wall = (performance.now() - started) / 1000
    const after = usage(s.process.pid)
    return {
      wall,
      rate: (bytes * count) / MB / wall,
      rss: median(all.map((a) => a.rss)),
      cpu: all.reduce((sum, a) => sum + a.cpu, 0),
      seederCpu: after.cpu - before.cpu,
      seederRss: after.rss,
      overhead: ((wireBytes() - wire) / (bytes * count) - 1) * 100
    }
  } finally {
    await s.close()
    for (const name of fs.readdirSync(work)) {
      if (/^(d\d+-|out-|seeder-)/.test(name)) fs.rmSync(path.join(work, name), { recursive: true, force: true })
    }
  }
}

/** A JavaScript peer appends one small file; how long until `side`, connected and seeding, has every block of it. */
export async function latency(side, work, bootstrap, rounds) {
  const address = `${bootstrap[0].host}:${bootstrap[0].port}`
  const dir = path.join(work, 'appender')
  const child = spawn(process.execPath, [path.join(here, 'appender.mjs'), dir, address], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = jsonLines(child.stdout)
  const ready = (await lines.next()).value.data
  const bosc = side.at(path.join(work, `latency-${side.name}`), bootstrap)
  const samples = []
  try {
    const p = bosc.start('seed', ready.link, '--stats-interval', '5')
    await p.until('stats', complete(ready.length), SYNC)
    for (let i = 0; i < rounds; i++) {
      await sleep(150)
      child.stdin.write('append\n')
      const { clock, length } = (await lines.next()).value.data
      const { at } = await p.untilLine('stats', complete(length), SYNC)
      samples.push(performance.timeOrigin + at - clock)
    }
  } finally {
    child.kill('SIGINT')
    await bosc.close()
    for (const d of [dir, bosc.store]) fs.rmSync(d, { recursive: true, force: true })
  }
  return { arrival: median(samples) }
}

/** `stage` of one changed file on a store that is being seeded, until a second process of the same side has it. */
export async function stageToArrival(side, work, bootstrap, rounds) {
  const tree = path.join(work, 'tree')
  fs.rmSync(tree, { recursive: true, force: true })
  fs.mkdirSync(tree)
  const set = (n) => fs.writeFileSync(path.join(tree, 'package.json'), JSON.stringify({ name: 'tiny', version: `1.0.${n}` }))
  set(0)
  const author = side.at(path.join(work, `author-${side.name}`), bootstrap)
  const reader = side.at(path.join(work, `reader-${side.name}`), bootstrap)
  const samples = []
  try {
    const { link } = await author.touch()
    const first = await author.stage(link, tree)
    await author.seed(link)
    const p = reader.start('seed', link, '--stats-interval', '5')
    await p.until('stats', complete(first.version), SYNC)
    for (let i = 1; i <= rounds; i++) {
      await sleep(150)
      set(i)
      const started = performance.now()
      const length = first.version + i
      const arrival = p.untilLine('stats', complete(length), SYNC)
      await author.ok('stage', link, tree)
      samples.push((await arrival).at - started)
    }
  } finally {
    await author.close()
    await reader.close()
    for (const d of [author.store, reader.store]) fs.rmSync(d, { recursive: true, force: true })
  }
  return { arrival: median(samples) }
}

async function* jsonLines(stream) {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const text of stream) {
    const parts = (rest + text).split('\n')
    rest = parts.pop()
    for (const part of parts) if (part) yield JSON.parse(part)
  }
}

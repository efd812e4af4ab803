#!/usr/bin/env node
// The same work by bosc and by the JavaScript packages, in one run on one machine, side by side.
//
//   BOSC=../target/release/bosc node bench.mjs [--quick] [--out FILE] [--only stage,sync,many,latency,small]
//     [--sets big,small,app] [--runs 3] [--sides bosc,js] [--downloaders 10] [--no-netns] [--dir DIR]
//
// On Linux it starts itself again in an empty network namespace, so that the loopback counters see nothing else.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { boscCommand } from './lib/bosc.mjs'
import { tempDir } from './lib/tree.mjs'
import { SETS, measureTree } from './bench/data.mjs'
import { Side, medians } from './bench/measure.mjs'
import * as runs from './bench/runs.mjs'

const self = fileURLToPath(import.meta.url)

function options(argv) {
  const o = {
    quick: false, out: null, runs: 3, netns: true, dir: null, downloaders: 10,
    only: ['small', 'stage', 'sync', 'latency', 'many'], sets: Object.keys(SETS), sides: ['bosc', 'js']
  }
  for (let i = 0; i < argv.length; i++) {
    const name = argv[i].replace(/^--/, '')
    if (name === 'quick') Object.assign(o, { quick: true, runs: 1, downloaders: 4 })
    else if (name === 'no-netns') o.netns = false
    else if (['only', 'sets', 'sides'].includes(name)) o[name] = argv[++i].split(',')
    else if (['runs', 'downloaders'].includes(name)) o[name] = Number(argv[++i])
    else if (['out', 'dir'].includes(name)) o[name] = argv[++i]
    else throw new Error(`unknown option ${argv[i]}`)
  }
  return o
}

/** Runs this program again where `lo` carries nothing but our own packets. */
function inNamespace() {
  if (process.platform !== 'linux' || process.env.BOSC_BENCH_NETNS) return false
  const script = 'ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || exit 77; exec "$@"'
  for (const flags of [['-n'], ['-r', '-n']]) {
    const args = [...flags, 'sh', '-c', script, 'sh', process.execPath, self, ...process.argv.slice(2)]
    if (spawnSync('unshare', [...flags, 'true']).status !== 0) continue
    const { status } = spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, BOSC_BENCH_NETNS: '1' } })
    if (status !== 77) process.exit(status ?? 1)
  }
  return false
}

function table(head, rows) {
  const all = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
  return all.map((r) => `| ${r.join(' | ')} |`).join('\n')
}

const digits = (v) => (Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2)
const show = (v) => (Number.isFinite(v) ? v.toFixed(digits(v)) : '-')

/** A row: what, bosc's figure, JavaScript's figure, how many times better bosc is. */
function row(what, results, pick, { more = false, ratio = true } = {}) {
  const [b, j] = ['bosc', 'js'].map((s) => (results[s] ? pick(results[s]) : NaN))
  const times = more ? b / j : j / b
  return [what, show(b), show(j), ratio && Number.isFinite(times) ? `${times.toFixed(2)} x` : '-']
}

const HEAD = ['', 'bosc', 'JavaScript', 'bosc better by']

async function main() {
  const o = options(process.argv.slice(2))
  if (o.netns) inNamespace()
  const sides = {}
  if (o.sides.includes('bosc')) sides.bosc = new Side('bosc', boscCommand())
  if (o.sides.includes('js')) sides.js = new Side('js', [process.execPath, path.join(path.dirname(self), 'js-cli.mjs')])
  const work = o.dir ? fs.mkdtempSync(path.join(path.resolve(o.dir), 'bosc-bench-')) : tempDir('bench')
  const parts = []
  const say = (text) => {
    parts.push(text)
    process.stdout.write(text + '\n\n')
  }
  const note = (text) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

  /** Runs `work` for each side in turn, `o.runs` times, and gives the medians of each side. */
  async function compare(label, once, times = o.runs) {
    const all = {}
    for (let i = 0; i < times; i++) {
      for (const [name, side] of Object.entries(sides)) {
        note(`${label}: ${name}, run ${i + 1} of ${times}`)
        ;(all[name] ??= []).push(await once(side))
      }
    }
    return all
  }

  try {
    const [cpu] = os.cpus()
    say(`# bosc and JavaScript, the same work\n\n${process.platform} ${process.arch}, ${os.cpus().length} x ${cpu?.model ?? '?'}, ` +
      `node ${process.version}; medians of ${o.runs}${o.quick ? ' (quick: small data, one run)' : ''}; MB = 10^6 bytes, RSS in MiB. ` +
      `A ratio above 1 is in bosc's favour.`)

    const sources = {}
    if (o.only.some((n) => ['stage', 'sync', 'many'].includes(n))) {
      for (const set of o.sets) {
        sources[set] = path.join(work, `src-${set}`)
        SETS[set].make(sources[set], o.quick)
        const { files, bytes } = measureTree(sources[set])
        note(`${set}: ${SETS[set].what(o.quick)} (${files} files, ${(bytes / 1e6).toFixed(1)} MB)`)
      }
    }

    if (o.only.includes('small')) {
      const all = await compare('touch and info', (side) => runs.small(side, work), 1)
      const r = Object.fromEntries(Object.entries(all).map(([k, v]) => [k, v[0]]))
      say('## Small commands, whole process, ms\n\n' +
        table(HEAD, [row('touch', r, (x) => x.touch), row('info of an own link', r, (x) => x.info)]))
    }

    if (o.only.includes('stage')) {
      const rows = []
      for (const set of o.sets) {
        const floor = medians(Array.from({ length: o.runs }, () => runs.baseline(sources[set], work)))
        const all = await compare(`stage ${set}`, (side) => runs.stage(side, set, sources[set], work))
        for (const step of ['cold', 'unchanged', 'second']) {
          const r = Object.fromEntries(Object.entries(all).map(([k, v]) => [k, medians(v.map((x) => x[step]))]))
          rows.push(row(`${set} ${step}: wall s`, r, (x) => x.wall), row('CPU s', r, (x) => x.cpu),
            row('peak RSS', r, (x) => x.rss), row('blob bytes appended', r, (x) => x.bytes))
          if (step === 'cold') {
            rows.push([`cp -r + sync + b2sum: ${show(floor.wall)} s; times that`,
              ...['bosc', 'js'].map((s) => (r[s] ? show(r[s].wall / floor.wall) : '-')), '-'])
          }
        }
      }
      say('## Stage, whole process\n\n' + table(HEAD, rows))
    }

    if (o.only.includes('sync')) {
      const rows = []
      for (const set of o.sets) {
        const all = await compare(`sync ${set}`, (side) => runs.withNetwork((b) => runs.oneToOne(side, set, sources[set], work, b)))
        const of = (part) => Object.fromEntries(Object.entries(all).map(([k, v]) => [k, medians(v.map((x) => x[part]))]))
        const [full, step, dump] = [of('full'), of('step'), of('dump')]
        rows.push(
          row(`${set}: first peer to complete, s`, full, (x) => x.sync),
          row('MB/s', full, (x) => x.rate, { more: true }),
          row('process start to complete, s', full, (x) => x.wall),
          row('downloader CPU s', full, (x) => x.cpu), row('downloader RSS', full, (x) => x.rss),
          row('seeder CPU s', full, (x) => x.seederCpu), row('seeder RSS', full, (x) => x.seederRss),
          row('on the wire beyond the content, %', full, (x) => x.overhead),
          row(`${set} second version: start to complete, s`, step, (x) => x.wall),
          row('wire bytes', step, (x) => x.wire), row('downloader RSS', step, (x) => x.rss),
          row(`${set} dump into a folder: s`, dump, (x) => x.wall), row('CPU s', dump, (x) => x.cpu),
          row('RSS', dump, (x) => x.rss))
      }
      say('## One seeder, one downloader, loopback\n\n' + table(HEAD, rows))
    }

    if (o.only.includes('many')) {
      const rows = []
      for (const set of o.sets) {
        const all = await compare(`1 to ${o.downloaders} ${set}`, (side) =>
          runs.withNetwork((b) => runs.oneToMany(side, sources[set], work, b, o.downloaders)))
        const r = Object.fromEntries(Object.entries(all).map(([k, v]) => [k, medians(v)]))
        rows.push(row(`${set}: wall s`, r, (x) => x.wall), row('aggregate MB/s', r, (x) => x.rate, { more: true }),
          row('seeder CPU s', r, (x) => x.seederCpu), row('seeder RSS', r, (x) => x.seederRss),
          row('downloader RSS', r, (x) => x.rss), row('on the wire beyond the content, %', r, (x) => x.overhead))
      }
      say(`## One seeder, ${o.downloaders} downloaders that dump\n\n` + table(HEAD, rows))
    }

    if (o.only.includes('latency')) {
      const rounds = o.quick ? 5 : 15
      const one = await compare('append to arrival', (side) => runs.withNetwork((b) => runs.latency(side, work, b, rounds)))
      const two = await compare('stage to arrival', (side) => runs.withNetwork((b) => runs.stageToArrival(side, work, b, rounds)))
      const of = (all) => Object.fromEntries(Object.entries(all).map(([k, v]) => [k, medians(v)]))
      say('## Latency, ms\n\n' + table(HEAD, [
        row('append in a JavaScript seeder to complete here', of(one), (x) => x.arrival),
        row('`stage` of one file started to complete on another machine of the same kind', of(two), (x) => x.arrival)
      ]))
    }
    if (o.out) fs.writeFileSync(o.out, parts.join('\n\n') + '\n')
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
}

await main()
process.exit(0)

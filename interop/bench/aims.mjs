#!/usr/bin/env node
// What docs/performance.md aims at, measured in one run and printed as its table.
//
//   cargo build --release -p bosc && cargo build --release -p bosc-node --examples
//   cargo build --release -p bosc-updater --features p2p --example rest
//   cd interop && BOSC=../target/release/bosc node bench/aims.mjs [--runs 1] [--dir DIR] [--sides bosc,js] [--only NAMES]
//     [--against PROGRAM]
//
// NAMES: parts, sync, many, stage, fetch, idle, flat. With --against another bosc takes turns with this one in sync, many and
// stage: compare the lines below the table. How long it took stands above it. Linux.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { boscCommand } from '../lib/bosc.mjs'
import { noise, tempDir } from '../lib/tree.mjs'
import { SETS } from './data.mjs'
import { Side, medians } from './measure.mjs'
import * as runs from './runs.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const value = (name, other) => {
  const at = process.argv.indexOf(`--${name}`)
  return at > 0 ? process.argv[at + 1] : other
}
const times = Number(value('runs', 1))
const wanted = value('sides', 'bosc,js').split(',')
const only = value('only', 'parts,sync,many,stage,fetch,idle,flat').split(',')
const dir = value('dir', null)
const work = dir ? fs.mkdtempSync(path.join(path.resolve(dir), 'bosc-aims-')) : tempDir('aims')
const sides = {}
if (wanted.includes('bosc')) sides.bosc = new Side('bosc', boscCommand())
const against = value('against', null)
if (against) sides.against = new Side('against', [path.resolve(against)])
if (wanted.includes('js')) sides.js = new Side('js', [process.execPath, path.join(here, '..', 'js-cli.mjs')])
const bosc = path.resolve(boscCommand()[0])
const example = (name, ...args) => execFileSync(path.join(path.dirname(bosc), 'examples', name), args, { encoding: 'utf8' })
const note = (text) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
const rows = []
const each = []
const row = (...cells) => {
  rows.push(`| ${cells.join(' | ')} |`)
  note(rows.at(-1))
}
const show = (n, digits = 2) => (Number.isFinite(n) ? n.toFixed(digits) : '-')
const ratio = (r, pick) => (r.js && r.bosc ? `${show(pick(r.js) / pick(r.bosc), 1)} x` : '-')

/** Each side in turn, `times` times; the medians of what `pick` takes out. */
async function compare(label, once, pick) {
  const all = {}
  for (let i = 0; i < times; i++) {
    for (const [name, side] of Object.entries(sides)) {
      note(`${label}: ${name}, run ${i + 1} of ${times}`)
      const got = pick(await once(side))
      ;(all[name] ??= []).push(got)
      each.push(`${label}, ${name}: ` + Object.entries(got).map(([what, n]) => `${what} ${show(n)}`).join(', '))
    }
  }
  return Object.fromEntries(Object.entries(all).map(([name, list]) => [name, medians(list)]))
}

function source(set) {
  const at = path.join(work, `src-${set}`)
  if (!fs.existsSync(at)) SETS[set].make(at, false)
  return at
}

const started = performance.now()
let floor = NaN
const parts = {
  parts() {
    const cost = (text, what) => Number(new RegExp(`^${what}\\s+([\\d.]+) s`, 'm').exec(text)[1])
    const text = example('parts', work)
    const [hash, open, write] = ['hash in groups of 4', 'open in place', 'write to a new file'].map((w) => cost(text, w))
    floor = hash + open + write
    row('hash + cipher + write of 268 MB alone', `${show(hash)} + ${show(open)} + ${show(write)} = ${show(floor)} CPU s`, '-', '-')
  },
  async sync() {
    const one = (side) => runs.withNetwork((b) => runs.oneToOne(side, 'big', source('big'), work, b))
    const r = await compare('sync big', one, (x) => ({ cpu: x.full.cpu, seeder: x.full.seederCpu, dump: x.dump.wall, dumpCpu: x.dump.cpu }))
    const over = Number.isFinite(floor) && r.bosc ? `; ${show(r.bosc.cpu / floor, 1)} times the parts` : ''
    row('full sync `big`: downloader', `${show(r.bosc?.cpu)} CPU s${over}`, '0.7 CPU s', ratio(r, (x) => x.cpu))
    row('full sync `big`: seeder', `${show(r.bosc?.seeder)} CPU s`, '-', ratio(r, (x) => x.seeder))
    row('fetch and dump `big` into a folder', `${show(r.bosc?.dump)} s`, '3 x', ratio(r, (x) => x.dump))
    row('the same, CPU', `${show(r.bosc?.dumpCpu)} CPU s`, '-', ratio(r, (x) => x.dumpCpu))
  },
  async many() {
    const one = (side) => runs.withNetwork((b) => runs.oneToMany(side, source('big'), work, b, 10))
    const r = await compare('1 to 10 big', one, (x) => x)
    row('one seeder to ten that dump `big`', `${show(r.bosc?.wall, 1)} s`, '3 x', ratio(r, (x) => x.wall))
    row('the same, memory of the seeder', `${show(r.bosc?.seederRss, 0)} MiB`, '64 MiB', ratio(r, (x) => x.seederRss))
  },
  async stage() {
    for (const set of ['big', 'app']) {
      const one = (side) => runs.stage(side, set, source(set), work)
      const r = await compare(`stage ${set}`, one, (x) => x.unchanged)
      row(`stage \`${set}\` unchanged, directly after a stage`, `${show(r.bosc?.wall)} s`, '20 x', ratio(r, (x) => x.wall))
    }
  },
  fetch() {
    const [, half, most] = /: ([\d.]+) ms \(half\).* ([\d.]+) ms \(99 of 100\)/.exec(example('fetch', '200'))
    row('connect to a seeder on loopback and fetch a small core, 200 times', `half in ${half} ms, 99 of 100 in ${most} ms`, '60 ms', '-')
  },
  idle() {
    const text = execFileSync(process.execPath, [path.join(here, 'idle.mjs')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const of = (side) => new RegExp(`^\\| ${side} \\| ([\\d.]+) \\| [\\d.]+ \\| ([\\d.]+) \\| ([\\d.]+)`, 'm').exec(text)
    const [b, js] = [of('bosc'), of('JavaScript')]
    row('an updater at rest, one idle peer', `${b[1]} wake-ups a second, ${b[2]} MiB (${b[3]} its own)`, '0.1 a second; 8 MiB',
      `${show(js[1] / b[1], 1)} x; ${show(js[2] / b[2], 1)} x`)
    const inside = of('embedded')
    if (inside) row('the same inside an application (`--example rest`)', `${inside[1]} wake-ups a second, ${inside[2]} MiB (${inside[3]} its own)`, '-', '-')
  },
  async flat() {
    const peaks = {}
    for (const count of [10_000, 100_000]) {
      const tree = path.join(work, `many-${count}`)
      for (let i = 0; i < count; i++) {
        const folder = path.join(tree, `by-arch/linux-x64/app/${i % 271}/${i % 7}`)
        if (i < 271 * 7) fs.mkdirSync(folder, { recursive: true })
        fs.writeFileSync(path.join(folder, `file-${i}.dat`), noise(i, 200))
      }
      fs.writeFileSync(path.join(tree, 'package.json'), '{"name":"many","version":"1.0.0"}')
      await new Promise((resolve) => setTimeout(resolve, 1500))
      const store = new Side('bosc', boscCommand()).at(path.join(work, `flat-${count}`))
      const { link } = await store.touch()
      note(`stage of ${count} files`)
      const report = path.join(work, 'flat.time')
      for (const step of ['cold', 'unchanged', 'again']) {
        // Without its hundred thousand lines, which nobody reads here.
        const words = ['-f', '%M', '-o', report, ...boscCommand(), ...store.args(['stage', link, tree])]
        execFileSync('/usr/bin/time', words, { stdio: 'ignore' })
        peaks[`${step} ${count}`] = Number(fs.readFileSync(report, 'utf8')) / 1024
      }
      fs.rmSync(tree, { recursive: true })
      fs.rmSync(store.store, { recursive: true })
    }
    for (const step of ['cold', 'again']) {
      const [few, all] = [peaks[`${step} 10000`], peaks[`${step} 100000`]]
      const each = ((all - few) * 1024 * 1024) / 90_000
      row(`stage of 100,000 files, ${step === 'cold' ? 'cold' : 'unchanged'}: memory`,
        `${show(all, 0)} MiB; 10,000: ${show(few, 0)}; ${show(each, 0)} bytes a file between`, '50 MiB; 100 bytes', '-')
    }
  }
}

try {
  for (const name of Object.keys(parts).filter((n) => only.includes(n))) {
    note(name)
    await parts[name]()
  }
  console.log(`${process.platform} ${process.arch}, ${os.cpus().length} x ${os.cpus()[0]?.model ?? '?'}, node ${process.version}; ` +
    `medians of ${times}; load at the end ${os.loadavg()[0].toFixed(1)}; took ${((performance.now() - started) / 60_000).toFixed(0)} min\n`)
  console.log('| work | measured | aim | JavaScript / bosc |\n| --- | --- | --- | ---: |')
  console.log(rows.join('\n'))
  if (each.length > 0) console.log(`\nEach run:\n\n${each.map((line) => `- ${line}`).join('\n')}`)
} finally {
  fs.rmSync(work, { recursive: true, force: true })
}
process.exit(0)

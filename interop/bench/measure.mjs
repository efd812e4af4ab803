// Time, CPU, memory and bytes on the wire of other processes (Linux; elsewhere only time).
import fs from 'node:fs'
import { execFileSync } from 'node:child_process'
import { Bosc, Running } from '../lib/bosc.mjs'

const GNU_TIME = '/usr/bin/time'
const hasTime = fs.existsSync(GNU_TIME)
let tick = 100
try {
  tick = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
} catch {}

/** One side of the comparison: a command line and what it is called in the tables. */
export class Side {
  constructor(name, command) {
    this.name = name
    this.command = command
  }

  at(store, bootstrap = []) {
    fs.mkdirSync(store, { recursive: true })
    return new Bosc({ store, bootstrap, command: this.command })
  }

  /** Runs a command to its end and measures the whole process. */
  async measure(bosc, args) {
    const report = `${bosc.store}.time`
    const prefix = hasTime ? [GNU_TIME, '-f', '%U %S %M', '-o', report] : []
    const all = bosc.args(args.map(String))
    const started = performance.now()
    const p = new Running(all, { command: [...prefix, ...this.command] })
    await p.exited
    const wall = (p.ended - started) / 1000
    if (p.code !== 0) throw new Error(`${this.name} failed\n${p.describe()}`)
    let [user, sys, kib] = [NaN, NaN, NaN]
    if (hasTime) {
      ;[user, sys, kib] = fs.readFileSync(report, 'utf8').trim().split('\n').at(-1).split(' ').map(Number)
      fs.rmSync(report)
    }
    return { p, wall, cpu: user + sys, rss: kib / 1024 }
  }
}

/** CPU seconds and peak memory (MiB) of a running process so far. */
export function usage(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
    return {
      cpu: (Number(fields[11]) + Number(fields[12])) / tick,
      rss: Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) / 1024
    }
  } catch {
    return { cpu: NaN, rss: NaN }
  }
}

/** Bytes that went over the loopback interface so far; only meaningful in a network namespace of our own. */
export function wireBytes() {
  try {
    const line = /^\s*lo:\s*(\d+)/m.exec(fs.readFileSync('/proc/net/dev', 'utf8'))
    return Number(line[1])
  } catch {
    return NaN
  }
}

export function median(values) {
  const sorted = values.filter((v) => Number.isFinite(v)).sort((a, b) => a - b)
  if (sorted.length === 0) return NaN
  const at = sorted.length >> 1
  return sorted.length % 2 ? sorted[at] : (sorted[at - 1] + sorted[at]) / 2
}

/** The median of every numeric field over several runs. */
export function medians(runs) {
  const out = {}
  for (const key of Object.keys(runs[0] ?? {})) {
    if (typeof runs[0][key] === 'number') out[key] = median(runs.map((r) => r[key]))
  }
  return out
}

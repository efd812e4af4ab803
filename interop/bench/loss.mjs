// The table of bad wires: TCP, JavaScript and bosc over the same wire, in one run. Needs root, iproute2, nftables and ethtool:
//
//   cargo build --release -p bosc && cargo build --release -p bosc-testkit --example wire
//   cd interop && BOSC=../target/release/bosc node bench/loss.mjs [--runs 3] [--only ROW] [--sides tcp,js,bosc] [--mib 1,50] [--quick]
//   node bench/loss.mjs --fair [--runs 3]      flows that share a wire: what each has of it
//
// ROW is a part of a row's name. MB/s are of the content, and everything counts from the start: of the process, or of TCP's connection.
import fs from 'node:fs'
import os from 'node:os'
import { cannotMakeWires } from '../lib/sites.mjs'
import { jain, shares } from '../lib/fair.mjs'
import { overWire } from '../lib/over-wire.mjs'

const why = cannotMakeWires()
if (why) {
  console.error(why)
  process.exit(1)
}
const value = (name, other) => {
  const at = process.argv.indexOf(`--${name}`)
  return at > 0 ? process.argv[at + 1] : other
}
const quick = process.argv.includes('--quick')
const runs = Number(value('runs', 1))
const only = value('only', '')
const sizes = value('mib', quick ? '1,5' : '1,50').split(',').map(Number)
const available = fs.readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').split(/\s/)
const sides = value('sides', 'bbr,cubic,js,bosc').replace('tcp', 'bbr').split(',').filter((s) => s === 'js' || s === 'bosc' || available.includes(s))
const wires = [
  { loss: 0, delay: 20, rate: 100, queue: 500 },
  { loss: 2, delay: 50, rate: 100, queue: 1000 },
  { loss: 10, delay: 50, rate: 100, queue: 1000 },
  { loss: 0, delay: 100, jitter: 5, rate: 50, queue: 1000 },
  { loss: 2, delay: 300, rate: 20, queue: 1000 },
  { loss: 0, delay: 20, rate: 10, queue: 60 },
  { loss: 5, delay: 10, jitter: 2, rate: 200, queue: 500 }
]
const name = (w) => `${w.loss} %, ${w.delay}${w.jitter ? ` ± ${w.jitter}` : ''} ms, ${w.rate} Mbit/s, ${w.queue} KB`
// Enough for the slowest row at a third of its rate.
const seconds = (mib) => 60 + 2 * mib
const median = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]
const titles = { bbr: 'TCP BBR', cubic: 'TCP CUBIC', js: 'JavaScript', bosc: 'bosc' }
const ratio = (a, b) => (a && b && Number.isFinite(a / b) ? (a / b).toFixed(2) : '-')

console.log(`${os.platform()} ${os.arch()}, ${os.cpus().length} x ${os.cpus()[0]?.model}, node ${process.version}; medians of ${runs}; load ${os.loadavg()[0].toFixed(1)}\n`)
if (process.argv.includes('--fair')) {
  await fair()
  process.exit(0)
}
for (const mib of sizes) {
  console.log(`\n${mib} MiB: seconds (MB/s)\n`)
  console.log(`| loss, delay one way, rate, queue | ${sides.map((s) => titles[s]).join(' | ')} | bosc / BBR | bosc / JavaScript |`)
  console.log(`|---|${'---|'.repeat(sides.length + 2)}`)
  for (const wire of wires.filter((w) => name(w).includes(only) && (!quick || w.rate === 100))) {
    const speeds = {}
    const cells = []
    for (const side of sides) {
      const times = []
      for (let i = 0; i < runs; i++) times.push(await overWire(side, { ...wire, seed: i + 1 }, mib << 20, seconds(mib)))
      const ms = median(times)
      speeds[side] = (mib << 20) / ms
      cells.push(Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} (${(speeds[side] / 1000).toFixed(1)})` : `> ${seconds(mib)}`)
    }
    console.log(`| ${name(wire)} | ${cells.join(' | ')} | ${ratio(speeds.bosc, speeds.bbr)} | ${ratio(speeds.bosc, speeds.js)} |`)
  }
}
process.exit(0)

// Four flows over one wire: parts of what came in the same ten seconds, of the run with the median of Jain's index.
async function fair() {
  const seconds = 10
  console.log('\n| four flows | loss, delay one way, rate, queue | parts of what came | Jain | of the wire |\n|---|---|---|---|---|')
  for (const wire of [{ loss: 0, delay: 20, rate: 40, queue: 250 }, { loss: 1, delay: 20, rate: 40, queue: 250 }].filter((w) => name(w).includes(only))) {
    const tables = [['bosc', 'bosc', 'bosc', 'bosc'], ['js', 'js', 'js', 'js'], ['bosc', 'bosc', 'js', 'js'], ['bosc', 'bosc', 'cubic', 'cubic']]
    if (available.includes('bbr')) tables.push(['bosc', 'bosc', 'bbr', 'bbr'])
    for (const kinds of tables) {
      const found = []
      for (let i = 0; i < runs; i++) {
        // More than the wire carries in that time, for each.
        const came = await shares(kinds, { ...wire, seed: i + 1 }, { seconds, mib: 64 })
        found.push({ came, index: jain(came) })
      }
      const { came, index } = found.toSorted((a, b) => a.index - b.index)[Math.floor(runs / 2)]
      const sum = came.reduce((a, b) => a + b, 0)
      const parts = came.map((bytes) => (bytes / sum).toFixed(2)).join(' ')
      const used = sum * 8 / (seconds * wire.rate * 1e6)
      console.log(`| ${kinds.map((k) => titles[k]).join(', ')} | ${name(wire)} | ${parts} | ${index.toFixed(2)} | ${used.toFixed(2)} |`)
    }
  }
}

// The table of NATs: seconds from a fetcher's start to the whole folder (3.3 MB), for each kind of site at either end and each pairing of
// bosc and JavaScript. Needs root, iproute2 and nftables: `node bench/nat.mjs [--runs 3]`.
import { fetchApart } from '../lib/apart.mjs'
import { cannotMakeSites } from '../lib/sites.mjs'

const why = cannotMakeSites()
if (why) {
  console.error(why)
  process.exit(1)
}
const at = process.argv.indexOf('--runs')
const runs = at > 0 ? Number(process.argv[at + 1]) : 1
const kinds = ['open', 'cone', 'symmetric']
const pairings = [['js', 'js'], ['bosc', 'bosc'], ['js', 'bosc'], ['bosc', 'js']]
console.log(`| seeder : fetcher | ${pairings.map(([a, b]) => `${a} → ${b}`).join(' | ')} |`)
console.log(`|---|${'---|'.repeat(pairings.length)}`)
for (const from of kinds) {
  for (const to of kinds) {
    const cells = []
    for (const pairing of pairings) {
      const times = []
      for (let i = 0; i < runs; i++) {
        const { same, ms } = await fetchApart([from, to], pairing, { timeout: 30 })
        times.push(same ? ms : Infinity)
      }
      times.sort((a, b) => a - b)
      const median = times[Math.floor(times.length / 2)]
      cells.push(Number.isFinite(median) ? (median / 1000).toFixed(2) : 'fails')
    }
    console.log(`| ${from} : ${to} | ${cells.join(' | ')} |`)
  }
}
process.exit(0)

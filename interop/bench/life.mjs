// The table of changes of network: seconds from a fetcher's start to the whole folder (16 MB at 20 Mbit/s) when, three seconds in, the
// fetcher or the seeder loses its address and has another one 0.3 s later, on an open site or behind another NAT; for each pairing of
// bosc and JavaScript. Needs root, iproute2 and nftables: `node bench/life.mjs`.
import { fetchApart } from '../lib/apart.mjs'
import { sleep } from '../lib/net.mjs'
import { cannotMakeSites } from '../lib/sites.mjs'

const why = cannotMakeSites()
if (why) {
  console.error(why)
  process.exit(1)
}
const [bytes, rate] = [16_000_000, '20mbit']
const pairings = [['js', 'js'], ['bosc', 'bosc'], ['js', 'bosc'], ['bosc', 'js']]
const moves = [
  ['nobody', 'open', 'open'],
  ['the fetcher', 'open', 'open'],
  ['the fetcher', 'open', 'cone'],
  ['the fetcher', 'cone', 'cone'],
  ['the seeder', 'open', 'open'],
  ['the seeder', 'cone', 'open']
]
console.log(`| who moves | seeder : fetcher | ${pairings.map(([a, b]) => `${a} → ${b}`).join(' | ')} |`)
console.log(`|---|---|${'---|'.repeat(pairings.length)}`)
for (const [who, from, to] of moves) {
  const cells = []
  for (const pairing of pairings) {
    const during = async ({ sites, places }) => {
      if (who === 'nobody') return
      await sleep(3000)
      const site = places[who === 'the seeder' ? 0 : 1]
      sites.leave(site)
      await sleep(300)
      sites.arrive(site)
      if (site === places[0] && from !== 'open') sites.slow(site, rate)
    }
    const { same, ms } = await fetchApart([from, to], pairing, { bytes, rate, timeout: 60, during })
    cells.push(same ? (ms / 1000).toFixed(1) : 'fails')
  }
  console.log(`| ${who} | ${from} : ${to} | ${cells.join(' | ')} |`)
}
process.exit(0)

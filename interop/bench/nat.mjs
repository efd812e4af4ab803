// The table of NATs: seconds from a fetcher's start to the whole folder (3.3 MB), for each kind of site at either end and each pairing of
// bosc and JavaScript; then for two symmetric NATs with a blind relay of either kind, which both name. Needs root, iproute2 and nftables:
// `node bench/nat.mjs [--runs 3] [--only relayed]`. `--only offered`: nobody names a relay, and a third bosc on the public net offers itself.
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
const median = (times) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]
async function row(name, from, to, opts = {}, which = pairings) {
  const cells = []
  for (const pairing of pairings) {
    if (!which.includes(pairing)) {
      cells.push('')
      continue
    }
    const times = []
    for (let i = 0; i < runs; i++) {
      const { same, ms } = await fetchApart([from, to], pairing, { timeout: 30, ...opts })
      times.push(same ? ms : Infinity)
    }
    const ms = median(times)
    cells.push(Number.isFinite(ms) ? (ms / 1000).toFixed(2) : 'fails')
  }
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}
if (process.argv.includes('offered')) {
  const fetches = pairings.filter(([, fetcher]) => fetcher === 'bosc')
  await row('symmetric : symmetric, an offered relay', 'symmetric', 'symmetric', { third: ['--relay-for', 'peers'], timeout: 60 }, fetches)
  process.exit(0)
}
if (!process.argv.includes('relayed')) {
  for (const from of kinds) for (const to of kinds) await row(`${from} : ${to}`, from, to)
}
const relays = { js: 'a npm `blind-relay`', bosc: '`bosc relay`' }
for (const [relay, name] of Object.entries(relays)) {
  await row(`the same, ${name} between them`, 'symmetric', 'symmetric', { relay, named: [true, true], timeout: 60 })
}
process.exit(0)

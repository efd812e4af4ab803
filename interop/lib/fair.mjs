// Several flows from sites of their own to one site behind a wire that they share: how many bytes of each came in the same seconds.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Bosc, boscCommand } from './bosc.mjs'
import { sleep } from './net.mjs'
import { Sites } from './sites.mjs'
import { noise, removeDir, tempDir, writeTree } from './tree.mjs'

const SCRIPT = fileURLToPath(new URL('../js-cli.mjs', import.meta.url))
const TCP = fileURLToPath(new URL('../js/tcp-peer.mjs', import.meta.url))
const PORT = '7000'
/** A flow has begun when so much of it came. */
const BEGUN = 512 << 10

/** Jain's index: 1 if all have as much, 1 of n if one has everything. */
export function jain(shares) {
  const sum = shares.reduce((a, b) => a + b, 0)
  return sum * sum / (shares.length * shares.reduce((a, b) => a + b * b, 0))
}

/**
 * Bytes of frames that came of each flow within `seconds`, from when all have begun. `kinds` are `bosc`, `js`, or congestion controls of
 * TCP; none ends before, if `mib` is more than the wire carries.
 */
export async function shares(kinds, wire, { seconds, mib }) {
  const dir = tempDir('fair')
  const sites = new Sites()
  const started = []
  try {
    const [host, port] = (await sites.dht()).split(':')
    const at = (kind, site, store) => {
      const command = kind === 'js' ? [process.execPath, SCRIPT] : boscCommand()
      const bosc = new Bosc({ store: path.join(dir, store), bootstrap: [{ host, port }], command: sites.at(site, command) })
      fs.mkdirSync(bosc.store)
      started.push(bosc)
      return bosc
    }
    const far = sites.site(wire)
    const near = kinds.map(() => sites.site('open'))
    count(far, near)
    const app = path.join(dir, 'app')
    writeTree(app, { 'package.json': JSON.stringify({ name: 'fair', version: '1.0.0' }), 'data.bin': noise(7, mib << 20) })
    const begins = []
    for (const [i, kind] of kinds.entries()) {
      if (kind === 'bosc' || kind === 'js') {
        const seeder = at(kind, near[i], `a${i}`)
        const { link } = await seeder.touch()
        await seeder.stage(link, app)
        await seeder.start('seed', link).until('announced', undefined, { timeout: 40_000 })
        begins.push(() => at(kind, far, `b${i}`).start('dump', link, path.join(dir, `out${i}`), '--timeout', '120'))
      } else {
        sites.tcpControl(near[i], kind)
        const child = sites.start(near[i], process.execPath, [TCP, 'serve', near[i].address, PORT])
        await once(readline.createInterface({ input: child.stdout }), 'line', { signal: AbortSignal.timeout(10_000) })
        begins.push(() => sites.start(far, process.execPath, [TCP, 'get', near[i].address, PORT, String(mib << 20)]))
      }
    }
    await sites.ready()
    await sleep(1000)
    for (const begin of begins) begin()
    const until = performance.now() + 60_000
    while (counted(far, near).some((bytes) => bytes < BEGUN)) {
      if (performance.now() > until) throw new Error(`not all of ${kinds} began: ${counted(far, near)}`)
      await sleep(100)
    }
    const before = counted(far, near)
    await sleep(seconds * 1000)
    return counted(far, near).map((bytes, i) => bytes - before[i])
  } finally {
    await Promise.all(started.map((b) => b.close()))
    await sites.close()
    removeDir(dir)
  }
}

// Counts what comes to a site from each of the others.
function count(far, near) {
  const rules = `table ip flows {
    ${near.map((_, i) => `counter c${i} { }`).join('\n')}
    chain incoming { type filter hook input priority filter; ${near.map((s, i) => `ip saddr ${s.address} counter name c${i};`).join(' ')} }
  }`
  execFileSync('ip', ['netns', 'exec', far.space, 'nft', '-f', '-'], { input: rules })
}

function counted(far, near) {
  const { nftables } = JSON.parse(execFileSync('ip', ['netns', 'exec', far.space, 'nft', '-j', 'list', 'counters'], { encoding: 'utf8' }))
  const counters = new Map(nftables.filter((o) => o.counter).map((o) => [o.counter.name, o.counter.bytes]))
  return near.map((_, i) => counters.get(`c${i}`))
}

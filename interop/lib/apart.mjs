// One folder from a seeder at one site to a fetcher at another, each bosc or JavaScript, with or without a blind relay on the public net.
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Bosc, boscCommand } from './bosc.mjs'
import { sleep, waitFor } from './net.mjs'
import { Sites } from './sites.mjs'
import { noise, removeDir, tempDir, writeTree } from './tree.mjs'

const SCRIPT = fileURLToPath(new URL('../js-cli.mjs', import.meta.url))
const RELAY = fileURLToPath(new URL('../js/blind-relay.mjs', import.meta.url))
const program = (kind) => (kind === 'js' ? [process.execPath, SCRIPT] : boscCommand())

/**
 * Stages and seeds a folder at a site of kind `from` and dumps it at one of kind `to`. Gives the dump, ended, and the milliseconds it took.
 * `kinds` is who seeds and who fetches: `bosc` or `js`. `relay` is who relays, and `named` who of the two names the relay. Called with
 * what runs, `during` may disturb it. `rate` is what may leave the seeder's site, in the words of `tc`. `third` are the flags of one
 * more bosc on the public net that seeds the link and keeps nothing of it. `router` makes something of the router of the
 * seeder's site; `before` is called when the seeder is up, `after` when all is over and it still runs.
 */
export async function fetchApart([from, to], kinds, options = {}) {
  const { bytes = 3_300_000, timeout = 40, relay, named = [false, true], relayFlags, rate, seedFlags = [], third, router, before, during, after } = options
  const dir = tempDir('apart')
  const sites = new Sites()
  const started = []
  try {
    const [host, port] = (await sites.dht()).split(':')
    const at = (kind, site, store) => {
      const bosc = new Bosc({ store: path.join(dir, store), bootstrap: [{ host, port }], command: sites.at(site, program(kind)) })
      fs.mkdirSync(bosc.store)
      started.push(bosc)
      return bosc
    }
    const through = relay ? await relayAt(sites, relay, `${host}:${port}`, at, relayFlags) : null
    const flags = (n) => (through && named[n] ? ['--relay', through.key] : [])
    const app = path.join(dir, 'app')
    writeTree(app, { 'package.json': JSON.stringify({ name: 'apart', version: '1.0.0' }), 'data.bin': noise(7, bytes) })
    const places = [sites.site(from), sites.site(to)]
    if (rate) sites.slow(places[0], rate)
    await router?.(sites, places[0])
    const seeder = at(kinds[0], places[0], 'a')
    const { link } = await seeder.touch()
    await seeder.stage(link, app)
    const seed = seeder.start('seed', link, ...flags(0), ...seedFlags)
    await seed.until('announced', undefined, { timeout: 40_000 })
    if (third) {
      const helper = at('bosc', sites.site('open'), 'h').start('seed', link, '--max-disk', '1', ...third)
      await helper.until('announced', undefined, { timeout: 40_000 })
      await helper.until('peer-add', undefined, { timeout: 40_000 })
    }
    await before?.({ sites, places, seed })
    // JavaScript says so before its relays know the way back.
    await sleep(1000)
    const fetcher = at(kinds[1], places[1], 'b')
    await sites.ready()
    const out = path.join(dir, 'out')
    const dumping = fetcher.end(['dump', link, out, '--timeout', timeout, ...flags(1)], { timeout: timeout * 1000 + 20_000 })
    await during?.({ sites, places, through, seed, dir })
    const dump = await dumping
    const same = dump.code === 0 && fs.readFileSync(path.join(out, 'data.bin')).equals(fs.readFileSync(path.join(app, 'data.bin')))
    const relayed = await through?.stats()
    await after?.({ sites, places, seed })
    return { dump, same, ms: dump.ended - dump.started, relayed, peers: seed.all('peers') }
  } finally {
    await Promise.all(started.map((b) => b.close()))
    await sites.close()
    removeDir(dir)
  }
}

/** A relay on the public net. `stats` gives the pairs that it made and, of bosc, the bytes that passed. */
async function relayAt(sites, kind, bootstrap, at, flags = ['--public']) {
  const site = sites.site('open')
  if (kind === 'js') {
    const child = sites.start(site, process.execPath, [RELAY, bootstrap], 'pipe')
    const lines = readline.createInterface({ input: child.stdout })
    const [key] = await once(lines, 'line', { signal: AbortSignal.timeout(60_000) })
    const stats = async () => {
      child.stdin.write('\n')
      const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(10_000) })
      return { pairs: JSON.parse(line).pairings.matched }
    }
    return { key, stats, stop: () => child.kill('SIGKILL') }
  }
  const bosc = at('bosc', site, 'r')
  const running = bosc.start('relay', ...flags, '--stats-interval', 200)
  const { key } = await running.until('relaying')
  await running.until('announced', undefined, { timeout: 40_000 })
  const stats = async () => {
    await sleep(600)
    const last = running.last('stats')
    return last ? { pairs: last.paired, bytes: last.bytes, last } : { pairs: 0, bytes: 0 }
  }
  return { key, stats, running, stop: () => running.child.kill('SIGKILL') }
}

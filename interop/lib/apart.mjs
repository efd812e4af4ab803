// One folder from a seeder at one site to a fetcher at another, each bosc or JavaScript.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Bosc, boscCommand } from './bosc.mjs'
import { sleep, waitFor } from './net.mjs'
import { Sites } from './sites.mjs'
import { noise, removeDir, tempDir, writeTree } from './tree.mjs'

const SCRIPT = fileURLToPath(new URL('../js-cli.mjs', import.meta.url))
const program = (kind) => (kind === 'js' ? [process.execPath, SCRIPT] : boscCommand())

/**
 * Stages and seeds a folder at a site of kind `from` and dumps it at one of kind `to`. Gives the dump, ended, and the milliseconds it took.
 * `kinds` is who seeds and who fetches: `bosc` or `js`.
 */
export async function fetchApart([from, to], kinds, { bytes = 3_300_000, timeout = 40 } = {}) {
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
    const app = path.join(dir, 'app')
    writeTree(app, { 'package.json': JSON.stringify({ name: 'apart', version: '1.0.0' }), 'data.bin': noise(7, bytes) })
    const seeder = at(kinds[0], sites.site(from), 'a')
    const { link } = await seeder.touch()
    await seeder.stage(link, app)
    const seed = seeder.start('seed', link)
    await seed.until('announced', undefined, { timeout: 40_000 })
    // JavaScript says so before its relays know the way back.
    await sleep(1000)
    const fetcher = at(kinds[1], sites.site(to), 'b')
    const out = path.join(dir, 'out')
    const dump = await fetcher.end(['dump', link, out, '--timeout', timeout], { timeout: timeout * 1000 + 20_000 })
    const same = dump.code === 0 && fs.readFileSync(path.join(out, 'data.bin')).equals(fs.readFileSync(path.join(app, 'data.bin')))
    return { dump, same, ms: dump.ended - dump.started }
  } finally {
    await Promise.all(started.map((b) => b.close()))
    await sites.close()
    removeDir(dir)
  }
}

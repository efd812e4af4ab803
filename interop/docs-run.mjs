#!/usr/bin/env node
// Does what an operator page says, command by command, on loopback: `node docs-run.mjs ../docs/recovery.md [SECTION]`.
// The language of the pages is told in lib/docs-page.mjs, their machines in lib/docs-site.mjs.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsePage } from './lib/docs-page.mjs'
import { Site } from './lib/docs-site.mjs'
import { hooks } from './lib/docs-hooks.mjs'
import { jsNetwork } from './lib/net.mjs'
import { removeDir, tempDir } from './lib/tree.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
export const docsDir = path.join(here, '..', 'docs')

export function readPage(name) {
  return parsePage(fs.readFileSync(path.join(docsDir, name), 'utf8'), name)
}

/** Sections of a page that have something to do. */
export function sectionsToRun(page) {
  return page.sections.filter((s) => s.steps.length > 0)
}

/**
 * Runs a page on machines, stores and networks of its own. `section(title, body)` runs the body of each section and may
 * keep what it throws: then sections that stand apart go on. Returns how many commands ran.
 */
export async function runPage(page, { say, section = (_title, body) => body(), only = null } = {}) {
  const dir = tempDir('docs')
  const nets = []
  const sites = []
  const network = async () => {
    const net = await jsNetwork()
    nets.push(net)
    return net.bootstrap
  }
  const open = async (part, make) => {
    const options = { dir: path.join(dir, part), bootstrap: await network(), say, hooks }
    fs.mkdirSync(options.dir, { recursive: true })
    const site = await make(options)
    sites.push(site)
    return site
  }
  let failed = false
  const part = (title, body) =>
    section(title, async () => {
      try {
        await body()
      } catch (err) {
        failed = true
        throw err
      }
    })
  try {
    const [intro, ...rest] = page.sections
    const site = await open('start', (options) => new Site(options))
    await part(intro.title, () => site.run(page, intro))
    if (!page.apart) {
      // What follows a failed section would only fail for the same reason.
      for (const s of rest) if (!failed && s.steps.length > 0) await part(s.title, () => site.run(page, s))
    } else if (!failed) {
      const frozen = await site.freeze()
      for (const [i, s] of rest.entries()) {
        if (s.steps.length === 0 || (only && !s.title.toLowerCase().includes(only.toLowerCase()))) continue
        await part(s.title, async () => {
          const own = await open(`part${i + 1}`, (options) => Site.restored(frozen, options))
          try {
            await own.run(page, s)
          } finally {
            await own.close()
          }
        })
      }
    }
    return sites.reduce((sum, s) => sum + s.commands, 0)
  } finally {
    for (const s of sites) await s.close()
    for (const n of nets) await n.close()
    removeDir(dir)
  }
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [file, only = null] = process.argv.slice(2)
  if (!file) {
    console.error('usage: node docs-run.mjs PAGE.md [SECTION]')
    process.exit(2)
  }
  // Ends what runs in the background, through the exit handler of the machines.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130))
  const page = parsePage(fs.readFileSync(file, 'utf8'), path.basename(file))
  const wrong = []
  const section = async (title, body) => {
    console.log(`\n## ${title}`)
    await body().catch((err) => {
      wrong.push(err)
      console.log(`\nWRONG ${err.message}`)
    })
  }
  const count = await runPage(page, { say: (line) => console.log(line), section, only })
  for (const err of wrong) console.error(`\n${err.message}`)
  console.log(wrong.length ? `\n${wrong.length} sections are wrong` : `\n${count} commands, all as the page says`)
  process.exit(wrong.length ? 1 : 0)
}

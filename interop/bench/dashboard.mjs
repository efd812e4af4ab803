// What `bosc dashboard` costs, against its budget:
//   first paint in under 200 ms on loopback, page of at most 150 kB, under 1 % of a core at rest with 1,000 followers, and at most
//   16 MiB more memory than `bosc seed` of the same link. And how long `bosc init`, `publish` and the first look take together: a minute
//   from a project to a release.
//
//   cargo build --release && cargo build --release -p bosc-release --example dashboard
//   BOSC=../target/release/bosc node bench/dashboard.mjs [--seconds 30]
//
// Paint and page are those of a page that shows 1,000 followers, in a tab of Chromium that is open. At rest, a snapshot of 1,000 followers is posted every two
// seconds, as the loop does, with a browser that looks at it. Linux only.
import fs from 'node:fs'
import os from 'node:os'
import { browser, fed, open, sample } from '../lib/browser.mjs'
import { Bosc } from '../lib/bosc.mjs'
import { jsNetwork, sleep } from '../lib/net.mjs'
import { removeDir, sampleApp, tempDir, writeTree } from '../lib/tree.mjs'

const at = process.argv.indexOf('--seconds')
const seconds = at > 0 ? Number(process.argv[at + 1]) : 30
const ends = []
const f = { later: (end) => ends.push(end) }
const anonymous = (pid) => Number(/^RssAnon:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024
/** Milliseconds of CPU that a process took. A tick is 10 ms on Linux. */
const cpu = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).reduce((n, t) => n + Number(t) * 10, 0)
const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)]
let failed = false
function row(what, value, budget, unit, digits = 1) {
  failed ||= !(value <= budget)
  console.log(`| ${what} | ${value.toFixed(digits)} ${unit} | ${budget} ${unit} | ${value <= budget ? 'yes' : 'NO'} |`)
}

console.log(`Load of the machine: ${os.loadavg()[0].toFixed(1)}\n`)
console.log('| what | measured | budget | kept |\n|---|---|---|---|')
try {
  const it = await browser(f)
  const dash = await fed(f)
  const views = sample({ peers: 1000 })
  dash.show(views)
  const line = '/line/' + views.lines[2].link.replace('pear://', '')
  const paints = { '/': [], [line]: [] }
  const page = await open(it, dash.url)
  const bytes = {}
  let sum = 0
  page.on('response', (r) => (sum += Number(r.headers()['content-length'] ?? 0)))
  // In a tab that is open: a browser's own start is not ours. The first time is not counted.
  for (let i = 0; i < 12; i++) {
    for (const path of Object.keys(paints)) {
      sum = 0
      await page.goto(new URL(path, dash.url).href)
      await page.waitForFunction(() => document.querySelector('#state.live'))
      const paint = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime)
      if (i > 0) paints[path].push(await paint.jsonValue())
      bytes[path] = sum
    }
  }
  row('first paint, all lines', median(paints['/']), 200, 'ms', 0)
  row('first paint, a line of 1,000 followers', median(paints[line]), 200, 'ms', 0)
  row('page and all it loads, all lines', bytes['/'] / 1000, 150, 'kB')
  row('page and all it loads, a line', bytes[line] / 1000, 150, 'kB')

  await page.goto(new URL('/', dash.url).href)
  await sleep(2000)
  const before = cpu(dash.pid)
  const end = performance.now() + seconds * 1000
  for (let n = 0; performance.now() < end; n++) {
    dash.show({ ...views, at: views.at + 2 * n })
    await sleep(2000)
  }
  row('CPU of the page at rest, 1,000 followers, a browser looks', ((cpu(dash.pid) - before) / (seconds * 1000)) * 100, 1, '%', 2)

  // The program itself, on one store after the other: as `seed`, and as `dashboard` with a browser that looks.
  const net = await jsNetwork()
  f.later(() => net.close())
  const dir = tempDir()
  f.later(() => removeDir(dir))
  const bosc = new Bosc({ store: `${dir}/store`, bootstrap: net.bootstrap })
  f.later(() => bosc.close())
  const { link } = await bosc.touch()
  await bosc.stage(link, writeTree(`${dir}/app`, sampleApp()))
  const used = async (running) => {
    await sleep(10_000)
    const [start, from] = [cpu(running.pid), performance.now()]
    await sleep(seconds * 1000)
    return { mib: anonymous(running.pid), percent: ((cpu(running.pid) - start) / (performance.now() - from)) * 100 }
  }
  // A project as a person has it: builds that are there, no answer to give.
  const project = writeTree(`${dir}/project`, { hello: { data: '#!/bin/sh\necho hello\n', mode: 0o755 }, 'hello.dat': { data: Buffer.alloc(50_000_000, 7) } })
  const from = performance.now()
  await bosc.end(['init', project, '--yes', '--name', 'hello', '--version', '1.0.0'])
  const prepared = performance.now()
  await bosc.end(['publish', project, '--copies', '0'])
  row('`init` of a folder of builds', (prepared - from) / 1000, 60, 's')
  row('`init` and `publish` of it', (performance.now() - from) / 1000, 60, 's')

  const seed = bosc.start('seed', link)
  await seed.until('announced')
  const seeding = await used(seed)
  await seed.stop()
  const dashboard = bosc.start('dashboard', link)
  const { url } = await dashboard.until('dashboard')
  await open(it, url)
  const showing = await used(dashboard)
  await dashboard.stop()
  row('memory more than `seed`', showing.mib - seeding.mib, 16, 'MiB')
  row('CPU of the program at rest, a browser looks', showing.percent, 1, '%', 2)
  console.log(`\n(\`seed\`: ${seeding.mib.toFixed(1)} MiB of its own, ${seeding.percent.toFixed(2)} %; \`dashboard\`: ${showing.mib.toFixed(1)} MiB)`)
} finally {
  for (const close of ends.reverse()) await Promise.race([Promise.resolve(close()).catch(() => {}), sleep(5000)])
}
process.exit(failed ? 1 : 0)

// An updater at rest, of bosc and of JavaScript: both follow the same drive, which is seeded by a JavaScript peer and does
// not change. How often their threads are woken, what CPU time they take and how much memory they have.
//
//   BOSC=../target/release/bosc node bench/idle.mjs [--seconds 60]
//
// They settle for as long as they are then measured. Linux only.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Running, boscCommand } from '../lib/bosc.mjs'
import { JsPeer, describe, jsNetwork, jsStage, sleep } from '../lib/net.mjs'
import { noise, removeDir, tempDir } from '../lib/tree.mjs'
import { usage } from './measure.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const at = process.argv.indexOf('--seconds')
const seconds = at > 0 ? Number(process.argv[at + 1]) : 60
const host = `${process.platform}-${process.arch}`

/** How often all threads of a process were put to sleep, which is how often they were woken. */
function wakes(pid) {
  const one = (tid) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8'))[1])
  return fs.readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + one(tid), 0)
}

/** Memory of the process now, in MiB: all, and what is its own (not pages of its program file). */
function memory(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024
  return { rss: mib('VmRSS'), own: mib('RssAnon') }
}

const net = await jsNetwork()
const work = tempDir('idle')
const author = new JsPeer(net.bootstrap)
const running = []
try {
  const tree = path.join(work, 'tree')
  const app = path.join(tree, `by-arch/${host}/app`)
  fs.mkdirSync(app, { recursive: true })
  fs.writeFileSync(path.join(app, 'Tiny'), noise(1, 1 << 20), { mode: 0o755 })
  fs.writeFileSync(path.join(tree, 'package.json'), JSON.stringify({ name: 'tiny', version: '1.0.0' }))
  const drive = await author.touch()
  await jsStage(drive, tree)
  await author.join(drive)
  const { link } = await describe(drive)
  const bootstrap = `${net.bootstrap[0].host}:${net.bootstrap[0].port}`
  for (const side of ['bosc', 'JavaScript']) {
    const dir = path.join(work, side)
    const target = path.join(dir, 'installed', 'Tiny')
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.copyFileSync(path.join(app, 'Tiny'), target)
    const data = path.join(dir, 'data')
    fs.mkdirSync(data)
    const command = side === 'bosc' ? boscCommand() : [process.execPath, path.join(here, 'js-updater.mjs')]
    const args = side === 'bosc'
      ? ['--json', '--bootstrap', bootstrap, 'watch', '--upgrade', link, '--app', target, '--name', 'Tiny', '--version', '1.0.0',
          '--dir', data, '--delay', '0']
      : [data, bootstrap, link, target, 'Tiny', '1.0.0']
    running.push({ side, p: new Running(args, { command, stdin: 'pipe' }) })
  }
  await sleep(seconds * 1000)
  const before = running.map(({ p }) => ({ wakes: wakes(p.pid), cpu: usage(p.pid).cpu }))
  await sleep(seconds * 1000)
  console.log(`| an updater at rest, ${seconds} s | wake-ups a second | CPU ms a second | memory, MiB | of that its own |\n| --- | ---: | ---: | ---: | ---: |`)
  running.forEach(({ side, p }, i) => {
    const { rss, own } = memory(p.pid)
    const cpu = ((usage(p.pid).cpu - before[i].cpu) * 1000) / seconds
    console.log(`| ${side} | ${((wakes(p.pid) - before[i].wakes) / seconds).toFixed(2)} | ${cpu.toFixed(2)} | ${rss.toFixed(1)} | ${own.toFixed(1)} |`)
  })
} finally {
  for (const { p } of running) {
    p.child.kill('SIGINT')
    await p.exited
  }
  await author.close()
  await net.close()
  removeDir(work)
}
process.exit(0)

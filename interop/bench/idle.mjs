// An updater at rest, of bosc and of JavaScript: both follow the same drive, which is seeded by a JavaScript peer and does
// not change. How often their threads are woken, what CPU time they take and how much memory they have.
//
//   BOSC=../target/release/bosc node bench/idle.mjs [--seconds 60] [--alone] [--sides bosc,JavaScript]
//
// They settle for as long as they are then measured. With --alone nobody seeds the drive: what is counted then is their own.
// An application that embeds the updater is measured as well if it is there, beside `bosc`:
// cargo build --release -p bosc-updater --features p2p --example rest
// Below the table: which threads of bosc were woken, where its memory is, and what of it was used while it was measured. Linux only.
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
const alone = process.argv.includes('--alone')
const rest = path.join(path.dirname(path.resolve(boscCommand()[0])), 'examples', process.platform === 'win32' ? 'rest.exe' : 'rest')
const given = process.argv.indexOf('--sides')
const sides = given > 0 ? process.argv[given + 1].split(',') : ['bosc', ...(fs.existsSync(rest) ? ['embedded'] : []), 'JavaScript']
const host = `${process.platform}-${process.arch}`

/** How often each thread of a process was put to sleep, which is how often it was woken. */
function wakes(pid) {
  const one = (tid) => {
    const status = fs.readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8')
    return { name: /^Name:\s+(.*)/.exec(status)[1], count: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]) }
  }
  return new Map(fs.readdirSync(`/proc/${pid}/task`).map((tid) => [tid, one(tid)]))
}

const sum = (threads) => [...threads.values()].reduce((n, { count }) => n + count, 0)

/** Resident MiB by what they are: of the program file (shared with others that run it), of libraries, anonymous. With 'Referenced':
 * what of it was used since the last look at that (`forget`). */
function places(pid, field = 'Rss') {
  const out = { program: 0, 'of that written to': 0, libraries: 0, heap: 0, other: 0 }
  const program = fs.readlinkSync(`/proc/${pid}/exe`)
  for (const map of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const mib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(map)?.[1] ?? 0) / 1024
    const file = /^\S+ \S+ \S+ \S+ \S+ *(.*)/.exec(map)?.[1] ?? ''
    if (file === program) out['of that written to'] += mib('Anonymous')
    out[file === program ? 'program' : file.startsWith('/') ? 'libraries' : file === '[heap]' ? 'heap' : 'other'] += mib(field)
  }
  return Object.entries(out).map(([name, n]) => `${name} ${n.toFixed(1)}`).join(', ')
}

/** From now on the kernel notes anew which pages are used. */
const forget = (pid) => fs.writeFileSync(`/proc/${pid}/clear_refs`, '1')

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
  if (!alone) await author.join(drive)
  const { link } = await describe(drive)
  const bootstrap = `${net.bootstrap[0].host}:${net.bootstrap[0].port}`
  for (const side of sides) {
    const dir = path.join(work, side)
    const target = path.join(dir, 'installed', 'Tiny')
    fs.mkdirSync(path.dirname(target), { recursive: true })
    fs.copyFileSync(path.join(app, 'Tiny'), target)
    const data = path.join(dir, 'data')
    fs.mkdirSync(data)
    const command = { bosc: boscCommand(), embedded: [rest] }[side] ?? [process.execPath, path.join(here, 'js-updater.mjs')]
    const args = side === 'bosc'
      ? ['--json', '--bootstrap', bootstrap, 'watch', '--upgrade', link, '--app', target, '--name', 'Tiny', '--version', '1.0.0',
          '--dir', data, '--delay', '0']
      : [data, bootstrap, link, target, 'Tiny', '1.0.0']
    running.push({ side, p: new Running(args, { command, stdin: 'pipe' }) })
  }
  await sleep(seconds * 1000)
  const before = running.map(({ p }) => ({ wakes: wakes(p.pid), cpu: usage(p.pid).cpu }))
  for (const { p } of running) forget(p.pid)
  await sleep(seconds * 1000)
  console.log(`| an updater at rest, ${seconds} s | wake-ups a second | CPU ms a second | memory, MiB | of that its own |\n| --- | ---: | ---: | ---: | ---: |`)
  running.forEach(({ side, p }, i) => {
    const { rss, own } = memory(p.pid)
    const cpu = ((usage(p.pid).cpu - before[i].cpu) * 1000) / seconds
    console.log(`| ${side} | ${((sum(wakes(p.pid)) - sum(before[i].wakes)) / seconds).toFixed(2)} | ${cpu.toFixed(2)} | ${rss.toFixed(1)} | ${own.toFixed(1)} |`)
  })
  running.forEach(({ side, p }, i) => {
    if (side === 'JavaScript') return
    const each = [...wakes(p.pid)].map(([tid, { name, count }]) => [name, count - (before[i].wakes.get(tid)?.count ?? 0)])
    const woken = each.filter(([, n]) => n > 0).map(([name, n]) => `${name} ${n}`)
    console.log(`\n${side}: ${each.length} threads; woken in ${seconds} s: ${woken.join(', ') || 'none'}\nMiB: ${places(p.pid)}\nused in ${seconds} s: ${places(p.pid, 'Referenced')}`)
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

#!/usr/bin/env node
// Where the CPU time goes: `perf` on stage, both ends of a sync, dump and the installing of an update.
//
//   BOSC=../target/release/bosc node bench/profile.mjs [--set big] [--quick] [--out FILE] [--top 10] [--dir DIR]
//
// Samples the CPU clock of each process, kernel included (needs Linux, perf and the right to use it), and prints the
// functions with the highest self cost.
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync, spawn } from 'node:child_process'
import { Running, boscCommand } from '../lib/bosc.mjs'
import { tempDir } from '../lib/tree.mjs'
import { SETS } from './data.mjs'
import { Side } from './measure.mjs'
import { forHost, installedApp, network } from './runs.mjs'

const value = (name, other) => {
  const at = process.argv.indexOf(`--${name}`)
  return at > 0 ? process.argv[at + 1] : other
}
const set = value('set', 'big')
const quick = process.argv.includes('--quick')
const top = Number(value('top', 10))
const LONG = { timeout: 600_000 }
const RECORD = ['record', '-q', '-e', 'cpu-clock', '-F', '1999', '-o']

const dir = value('dir', null)
const work = dir ? fs.mkdtempSync(path.join(path.resolve(dir), 'bosc-profile-')) : tempDir('profile')
const parts = [`# Where the CPU time goes: ${set}, ${SETS[set].what(quick)}`]
const data = (name) => path.join(work, `${name}.data`)

/** Runs `command` under perf until it ends. */
function recorded(name) {
  return new Side('bosc', ['perf', ...RECORD, data(name), ...boscCommand()])
}

/** Samples a running process until `stop` is called. */
function attach(name, pid) {
  const child = spawn('perf', [...RECORD, data(name), '-p', String(pid)], { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.on('close', resolve))
  return { stop: () => (child.kill('SIGINT'), ended) }
}

/** A function's name without hashes and long type arguments. */
function short(symbol) {
  const plain = symbol.replace(/::h[0-9a-f]{16}$/, '').replace(/<impl [^>]*>::/, '')
  return plain.length > 70 ? `${plain.slice(0, 67)}...` : plain
}

/** What a function does here, by its name. */
const MEANING = [
  [/blake2.*(4_loop|compress4|hash4)/, 'hashes four blocks side by side'],
  [/blake2/, 'hashes one block, or the nodes above'],
  [/sha2|sha256/, 'digests of files that are installed'],
  [/chacha20/, 'the cipher'],
  [/poly1305/, 'the authenticator of the cipher'],
  [/curve25519|ed25519/, 'signatures and handshakes'],
  [/chunker/, 'finds where blocks are cut'],
  [/copy_folio_from_iter|copy_page_from_iter/, 'writing: bytes go into the page cache'],
  [/copy_to_iter|copyout/, 'reading a file, or taking a datagram from the socket'],
  [/copy_from_iter/, 'handing datagrams to the socket'],
  [/csum/, 'sums of datagrams'],
  [/memmove|memcpy/, 'moves bytes: datagrams into frames, frames into datagrams'],
  [/memset|clear_page/, 'zeroes memory before it is filled'],
  [/page_fault|fault_in|handle_mm/, 'memory that is touched for the first time'],
  [/finish_task_switch|irqentry|irqrestore|irq_restore|softirq|do_syscall_64|exit_to_user/,
    'waking up and going to sleep; samples of a virtual machine land here when interrupts come on again'],
  [/spin_lock|spin_unlock$|mutex|read_lock|list_del_entry|list_add/, 'locks and lists of the kernel'],
  [/slab|filemap|kmem_cache|memcg|init_once|alloc|free|folio|xas_|xa_|lru/, 'bookkeeping of memory and of the page cache'],
  [/ext4|jbd2|mpage|block_|bio_|d_lookup|inode|dentry|dcache|get_block/, 'the file system'],
  [/skb|udp|ip_|sock|dev_|fib_|nf_|loopback/, 'the network of the kernel'],
  [/bosc_udx/, 'UDX: packets and acknowledgements'],
  [/bosc_wire/, 'frames, channels, replication'],
  [/bosc_store|redb/, 'the store: pages, places, commits'],
  [/pthread|futex/, 'threads that wait for each other']
]
const meaning = (symbol) => MEANING.find(([name]) => name.test(symbol))?.[1] ?? ''

function report(name, title) {
  const text = execFileSync('perf', ['report', '-i', data(name), '--stdio', '--no-children', '-g', 'none', '-F',
    'overhead,sample,dso,symbol', '-t', '\t'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 })
  const rows = text.split('\n').filter((l) => l.trim() && !l.startsWith('#')).map((l) => l.split('\t').map((f) => f.trim()))
  const samples = rows.reduce((sum, r) => sum + Number(r[1]), 0)
  const lines = rows.slice(0, top).map(([share, , dso, symbol]) => {
    const where = symbol.startsWith('[k]') ? 'kernel' : dso === path.basename(boscCommand()[0]) ? '' : dso.replace(/\.so.*/, '')
    return `| ${share} | ${[where, short(symbol.replace(/^\[.\] /, ''))].filter(Boolean).join(': ')} | ${meaning(symbol)} |`
  })
  parts.push(`## ${title} (${(samples / 1999).toFixed(2)} s)\n\n| self | where | what it does |\n| ---: | --- | --- |\n${lines.join('\n')}`)
  process.stdout.write(parts.at(-1) + '\n\n')
}

/** An installed application takes an update, from what is installed and from a peer, and puts it in its place. */
async function update() {
  const author = new Side('bosc', boscCommand()).at(path.join(work, 'publisher'), net.bootstrap)
  const { watch, seeder } = await installedApp(author, work, net.bootstrap, quick)
  const p = new Running(watch, { command: boscCommand(), stdin: 'pipe' })
  const updating = attach('update', p.pid)
  await p.untilLine('updated', () => true, LONG)
  await updating.stop()
  report('update', 'Update of `app` after an install: from what is installed and a peer')
  const applying = attach('apply', p.pid)
  await new Promise((resolve) => setTimeout(resolve, 500))
  p.child.stdin.write('apply\n')
  await p.untilLine('applied', () => true, LONG)
  await applying.stop()
  report('apply', 'Apply')
  p.child.kill('SIGINT')
  await p.exited
  await seeder.stop()
}

const net = await network()
try {
  const tree = path.join(work, 'tree')
  SETS[set].make(tree, quick)
  forHost(tree)
  execFileSync('sync', ['-f', tree])

  const plain = new Side('bosc', boscCommand())
  const author = plain.at(path.join(work, 'author'), net.bootstrap)
  const { link } = await author.touch()
  await recorded('stage').measure(recorded('stage').at(author.store, net.bootstrap), ['stage', link, tree])
  report('stage', 'Stage')

  const seeder = await author.seed(link, '--stats-interval', '1000')
  const sampled = attach('seeder', seeder.pid)
  const other = recorded('download').at(path.join(work, 'other'), net.bootstrap)
  const p = other.start('seed', link, '--stats-interval', '20')
  await p.untilLine('stats', (s) => s.driveSynced && s.blobsSynced && s.blobsLength > 0, LONG).catch((e) => {
    throw new Error(`${e}\n${p.describe()}`)
  })
  await p.stop()
  await sampled.stop()
  report('download', 'Sync, the downloader')
  report('seeder', 'Sync, the seeder')

  // From a store that holds everything already: what dump itself costs.
  const dump = recorded('dump').at(other.store, net.bootstrap)
  await recorded('dump').measure(dump, ['dump', link, path.join(work, 'out'), '--timeout', '120'])
  report('dump', 'Dump, everything held')

  await update()
} finally {
  await net.close()
  fs.rmSync(work, { recursive: true, force: true })
}
const out = value('out', null)
if (out) fs.writeFileSync(out, parts.join('\n\n') + '\n')
process.exit(0)

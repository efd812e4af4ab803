#!/usr/bin/env node
// What a mirror costs: a change of one file in an application of 150 MB, and a whole fetch, beside curl of the same files and beside a
// peer, in one run on loopback. The aims are those of docs/mirrors.md.
//
//   cargo build --release -p bosc
//   cd interop && BOSC=../target/release/bosc node bench/mirror.mjs [--mb 150] [--changed 4] [--runs 3] [--rate MBIT]
//
// Needs nginx and curl. Bytes of the mirror are those that nginx counts, headers of both directions included; those of the peer are what
// its sockets sent and received. Both fetch over three connections; with --rate nginx sends no more than so many Mbit/s on each.
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { Bosc, Running } from '../lib/bosc.mjs'
import { nginx } from '../lib/nginx.mjs'
import { noise, removeDir, tempDir, writeTree } from '../lib/tree.mjs'

const value = (name, other) => {
  const at = process.argv.indexOf(`--${name}`)
  return at > 0 ? process.argv[at + 1] : other
}
const mb = Number(value('mb', 150))
const changed = Number(value('changed', 4))
const runs = Number(value('runs', 3))
const NOBODY = [{ host: '127.0.0.1', port: 9 }]
const work = tempDir('mirror-bench')
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
const show = (n) => n.toLocaleString('en').replaceAll(',', ' ')
let stores = 0
const bosc = (bootstrap, store = path.join(work, `s${++stores}`)) => {
  fs.mkdirSync(store, { recursive: true })
  return new Bosc({ store, bootstrap })
}

const testnet = new Running([], { command: [process.execPath, path.join(import.meta.dirname, 'testnet.mjs')] })
const bootstrap = await testnet.until('ready')
const dir = path.join(work, 'app')
const each = 2_000_000
const tree = { 'package.json': JSON.stringify({ name: 'demo', version: '1.0.0' }) }
for (let i = 0; i * each < mb * 1e6; i++) tree[`by-arch/linux-x64/app/demo/lib${i}.so`] = noise(i + 1, each)
fs.mkdirSync(dir)
writeTree(dir, tree)
const author = bosc(bootstrap)
const { link } = await author.touch()
await author.stage(link, dir)
const mirror = path.join(work, 'mirror')
await author.ok('mirror', link, mirror)
const rate = Number(value('rate', 0))
const web = await nginx(path.join(work, 'nginx'), mirror, { rate })

// A whole fetch, and curl of the same objects.
const objects = fs.readdirSync(mirror, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())
const names = objects.map((e) => path.relative(mirror, path.join(e.parentPath, e.name)))
const config = path.join(work, 'curl')
const whole = { bosc: [], curl: [], memory: [] }
let client
for (let i = 0; i < runs; i++) {
  const out = path.join(work, `curl${i}`)
  fs.writeFileSync(config, names.map((n) => `create-dirs\nurl = "${web.url}/${n}"\noutput = "${path.join(out, n)}"\n`).join('next\n'))
  let start = performance.now()
  const curl = spawnSync('curl', ['-s', '-f', '-Z', '--parallel-max', '3', '-K', config])
  if (curl.status !== 0) throw new Error(`curl: ${curl.status}`)
  whole.curl.push(performance.now() - start)
  removeDir(out)
  client = bosc(NOBODY)
  const to = path.join(work, `out${i}`)
  web.requests()
  start = performance.now()
  const p = client.start('dump', link, to, '--mirror', web.url)
  const peak = setInterval(() => {
    try {
      const rss = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${p.pid}/status`, 'utf8'))
      whole.memory[i] = Number(rss[1]) * 1024
    } catch {}
  }, 20)
  await p.exited
  clearInterval(peak)
  if (p.code !== 0) throw new Error(p.describe())
  whole.bosc.push(performance.now() - start)
  whole.requests = web.requests().length
  removeDir(to)
}

// One file changes, for one who has the version before: by the mirror, and by a peer.
const peerStore = path.join(work, 'peer-client')
fs.cpSync(client.store, peerStore, { recursive: true })
fs.rmSync(path.join(peerStore, 'owner.json'), { force: true })
writeTree(dir, { 'by-arch/linux-x64/app/demo/lib0.so': noise(999, changed * 1_000_000) })
await author.stage(link, dir, '--no-deltas')
const wrote = (await author.ok('mirror', link, mirror)).last('final')
web.requests()
await client.ok('dump', link, path.join(work, 'updated'), '--mirror', web.url)
const asked = web.requests()
const bytes = asked.reduce((n, r) => n + r.sent + r.received, 0)
const seeder = await author.seed(link)
const before = seeder.last('stats')?.network ?? { sentBytes: 0, receivedBytes: 0 }
const second = bosc(bootstrap, peerStore)
await second.ok('dump', link, path.join(work, 'by-peer'))
await seeder.until('stats', (s) => s.upload.totalBytes >= changed * 1_000_000)
await new Promise((resolve) => setTimeout(resolve, 500))
const after = seeder.last('stats').network
const byPeer = after.sentBytes - before.sentBytes + after.receivedBytes - before.receivedBytes
await seeder.stop()
await testnet.stop()
await web.close()

const [b, c] = [median(whole.bosc), median(whole.curl)]
console.log(`${mb} MB in files of 2 MB; one of ${changed} MB changes; nginx on loopback${rate ? `, ${rate} Mbit/s a connection` : ''}; medians of ${runs}\n`)
console.log('| | mirror | beside it | aim |')
console.log('|---|---|---|---|')
console.log(`| whole fetch and write, ms | ${show(Math.round(b))} (${whole.requests} requests) | curl ${show(Math.round(c))} | ${(c / b).toFixed(2)} of curl, 0.90 |`)
console.log(`| memory at most, MB | ${show(Math.round(Math.max(...whole.memory) / 1e6))} | | 64 MiB beside the store |`)
console.log(`| change of one file, requests | ${asked.length} on ${new Set(asked.map((r) => r.connection)).size} connections | | 12 |`)
console.log(`| change of one file, bytes | ${show(bytes)} | peer ${show(byPeer)} | no more than the peer |`)
console.log(`| bytes written to publish it | ${show(wrote.bytes)} in ${wrote.objects} files | | |`)
removeDir(work)

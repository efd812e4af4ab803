// A JavaScript peer for crates/bosc-wire/tests/replication_js.rs: real Hypercores behind TCP servers on loopback.
// Takes one JSON command a line on standard input, answers each with one line of JSON, serves until the input ends.
//
// Run as `node replication-peer.mjs <node_modules folder>`.
import net from 'node:net'
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(resolve(process.argv[2], 'package.json'))
const Hypercore = require('hypercore')
const SecretStream = require('@hyperswarm/secret-stream')
const crypto = require('hypercore-crypto')

const dir = mkdtempSync(join(tmpdir(), 'bosc-replication-'))
const cores = new Map()
const servers = []
const hex = (b) => b && Buffer.from(b).toString('hex')

// The same bytes as `block` in the Rust test.
function block (index, len) {
  const b = Buffer.allocUnsafe(len)
  for (let j = 0; j < len; j++) b[j] = (index * 31 + j * 7 + (j >> 8)) & 255
  return b
}

const commands = {
  async create ({ name, key, seed }) {
    const opts = key ? {} : { keyPair: crypto.keyPair(Buffer.alloc(32, seed)) }
    const core = new Hypercore(join(dir, name), key ? Buffer.from(key, 'hex') : null, opts)
    await core.ready()
    cores.set(name, core)
    return { key: hex(core.key) }
  },
  async append ({ name, start, count, len }) {
    const core = cores.get(name)
    for (let at = start; at < start + count; at += 64) {
      const n = Math.min(64, start + count - at)
      await core.append(Array.from({ length: n }, (_, i) => block(at + i, len)))
    }
    return { length: core.length }
  },
  async truncate ({ name, length }) {
    const core = cores.get(name)
    await core.truncate(length)
    return { length: core.length, fork: core.fork }
  },
  // One TCP server for each call; every connection replicates the core.
  async listen ({ name, initiator }) {
    const server = net.createServer((socket) => {
      socket.setNoDelay(true)
      const stream = new SecretStream(initiator, socket)
      stream.on('error', (err) => process.env.VERBOSE && console.error('stream:', err.message))
      cores.get(name).replicate(stream)
    })
    servers.push(server)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: server.address().port }
  },
  download ({ name, start, end }) {
    cores.get(name).download({ start, end: end === undefined ? -1 : end })
    return {}
  },
  // Waits until the core is at `fork` with `length` blocks, of which it holds `held` from 0 on.
  async wait ({ name, fork, length, held }) {
    const core = cores.get(name)
    const start = process.hrtime.bigint()
    while (core.fork !== fork || core.length !== length || core.contiguousLength < held) {
      if (process.hrtime.bigint() - start > 60n * 1000000000n) {
        return { error: `fork ${core.fork} length ${core.length} contiguous ${core.contiguousLength}` }
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return { ms: Number(process.hrtime.bigint() - start) / 1e6 }
  },
  async state ({ name }) {
    const core = cores.get(name)
    return {
      fork: core.fork,
      length: core.length,
      treeHash: hex(await core.treeHash()),
      manifest: core.manifest !== null,
      remoteContiguousLength: Math.max(0, ...core.peers.map((p) => p.remoteContiguousLength)),
      peers: core.peers.length
    }
  },
  async digest ({ name }) {
    const core = cores.get(name)
    const blocks = []
    for (let i = 0; i < core.length; i++) blocks.push(await core.get(i, { wait: false }))
    return { hash: hex(crypto.hash(blocks)) }
  }
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line)
  let answer
  try {
    answer = await commands[command.cmd](command)
  } catch (err) {
    answer = { error: err.stack }
  }
  console.log(JSON.stringify(answer))
}).on('close', async () => {
  for (const s of servers) s.close()
  for (const core of cores.values()) await core.close()
  rmSync(dir, { recursive: true, force: true })
  process.exit(0)
})

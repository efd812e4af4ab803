// Real hyperdht nodes, told what to do by lines of JSON on stdin; one line of JSON on stdout answers each.
// {"do":"testnet","size":6} | {"do":"client","bootstrap":[port,..],"persistent":bool} | and for the node made
// last: announce, unannounce, lookup, immutablePut, immutableGet, mutablePut, mutableGet, listen, findPeer,
// connect (says "hello" to a listening key and returns what comes back), nodes, exit.
// BOSC_INTEROP_NODE_MODULES is the node_modules folder to take hyperdht from.
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'

const modules = path.resolve(process.env.BOSC_INTEROP_NODE_MODULES)
const require = createRequire(path.join(modules, 'any.js'))
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const hex = (b) => (b ? Buffer.from(b).toString('hex') : null)
const raw = (s) => Buffer.from(s, 'hex')
const pair = (seed) => DHT.keyPair(raw(seed))
const place = (s) => ({ host: s.split(':')[0], port: Number(s.split(':')[1]) })
const text = (a) => a.host + ':' + a.port

let testnet = null
let dht = null
const nodes = []
const servers = []

async function peers(query) {
  const found = new Map()
  for await (const reply of query) {
    for (const p of reply.peers) found.set(hex(p.publicKey), p.relayAddresses.map(text))
  }
  return Object.fromEntries(found)
}

const commands = {
  async testnet({ size }) {
    testnet = await createTestnet(size)
    return { bootstrap: testnet.bootstrap[0].port }
  },
  async client({ bootstrap, persistent }) {
    dht = new DHT({
      bootstrap: bootstrap.map((port) => ({ host: '127.0.0.1', port })),
      host: '127.0.0.1',
      ...(persistent ? { ephemeral: false, firewalled: false } : {})
    })
    nodes.push(dht)
    await dht.fullyBootstrapped()
    return { nodes: dht.toArray().length, host: dht.host, port: dht.port, ephemeral: dht.ephemeral }
  },
  async announce({ topic, seed, relays, bump }) {
    const q = dht.announce(raw(topic), pair(seed), (relays || []).map(place), { bump })
    await q.finished()
    return { closest: q.closestNodes.length }
  },
  async unannounce({ topic, seed }) {
    await dht.unannounce(raw(topic), pair(seed))
    return {}
  },
  async lookup({ topic }) {
    return { peers: await peers(dht.lookup(raw(topic))) }
  },
  async immutablePut({ value }) {
    const { hash, closestNodes } = await dht.immutablePut(raw(value))
    return { hash: hex(hash), closest: closestNodes.length }
  },
  async immutableGet({ hash }) {
    const node = await dht.immutableGet(raw(hash))
    return { value: node && hex(node.value) }
  },
  async mutablePut({ seed, seq, value }) {
    const { closestNodes } = await dht.mutablePut(pair(seed), raw(value), { seq })
    return { closest: closestNodes.length }
  },
  async mutableGet({ publicKey, seq }) {
    const node = await dht.mutableGet(raw(publicKey), { seq })
    return node ? { seq: node.seq, value: hex(node.value) } : { seq: null, value: null }
  },
  async listen({ seed }) {
    const server = dht.createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (data) => socket.write(Buffer.concat([Buffer.from('echo '), data])))
    })
    await server.listen(pair(seed))
    servers.push(server)
    return { relays: server.relayAddresses.map(text), publicKey: hex(server.publicKey) }
  },
  async close() {
    await servers.pop().close()
    return {}
  },
  async findPeer({ publicKey }) {
    const relays = []
    for await (const reply of dht.findPeer(raw(publicKey))) {
      if (hex(reply.peer.publicKey) === publicKey) relays.push(text(reply.from))
    }
    return { relays }
  },
  async connect({ publicKey }) {
    const socket = dht.connect(raw(publicKey))
    const reply = await new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('data', (data) => resolve(data.toString()))
      socket.write('hello')
    })
    socket.destroy()
    return { reply }
  },
  async nodes() {
    return { nodes: dht.toArray().map(text) }
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  if (message.do === 'exit') break
  let out
  try {
    out = await commands[message.do](message)
  } catch (err) {
    out = { error: String((err && err.stack) || err) }
  }
  process.stdout.write(JSON.stringify(out) + '\n')
}
process.exit(0)

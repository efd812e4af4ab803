// Writes dht.json: datagrams, values and signatures made by the real dht-rpc and hyperdht modules.
// Run with: node interop/vectors/dht.mjs
import fs from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const c = require('compact-encoding')
const sodium = require('sodium-universal')
const IO = require('dht-rpc/lib/io')
const peer = require('dht-rpc/lib/peer')
const Table = require('kademlia-routing-table')
const NatSampler = require('nat-sampler')
const m = require('hyperdht/lib/messages')
const Persistent = require('hyperdht/lib/persistent')
const createRefreshChain = require('hyperdht/lib/refresh-chain')
const { NS } = require('hyperdht/lib/constants')
const { hash, createKeyPair } = require('hyperdht/lib/crypto')

const hex = (b) => (b === null || b === undefined ? null : Buffer.from(b).toString('hex'))
const fill = (n, len = 32) => Buffer.alloc(len, n)
const at = (host, port) => ({ host, port })
const text = (a) => (a ? a.host + ':' + a.port : null)

const OWN = at('10.1.2.3', 49737)
const OTHER = at('203.0.113.250', 65535)

function rpc() {
  const sent = []
  const socket = (name) => ({ trySend: (buf, port, host) => sent.push({ name, buf, host, port }) })
  const io = new IO(new Table(peer.id(OWN.host, OWN.port)), { watchNetworkInterfaces: () => null }, {})
  io.clientSocket = socket('client')
  io.serverSocket = socket('server')
  io._tid = 0x1234
  io._secrets = [fill(1), fill(2)]

  const out = []
  const requests = [
    { name: 'ping', internal: true, command: 0 },
    { name: 'ping nat', internal: true, command: 1, value: Buffer.from([0x49, 0xc2]) },
    { name: 'find node', internal: true, command: 2, target: fill(7) },
    { name: 'find node, persistent', internal: true, command: 2, target: fill(7), persistent: true },
    { name: 'lookup with token', command: 3, target: fill(8), token: fill(9), persistent: true },
    { name: 'long value', command: 8, target: fill(8), token: fill(9), value: fill(5, 300) },
    { name: 'empty value', command: 300, value: Buffer.alloc(0) }
  ]
  for (const r of requests) {
    io.firewalled = !r.persistent
    io.ephemeral = !r.persistent
    const req = io.createRequest(OTHER, r.token || null, !!r.internal, r.command, r.target || null, r.value || null)
    const bytes = req._encodeRequest(req.token, req.value, req.to, req.socket)
    out.push({
      name: r.name,
      kind: 'request',
      tid: req.tid,
      to: text(OTHER),
      from: text(OWN),
      id: r.persistent ? hex(io.table.id) : null,
      token: hex(r.token),
      internal: !!r.internal,
      command: r.command,
      target: hex(r.target),
      value: hex(r.value),
      bytes: hex(bytes)
    })
  }

  for (let i = 0; i < 5; i++) {
    const host = '172.16.0.' + i
    io.table.add({ id: peer.id(host, 1000 + i), host, port: 1000 + i })
  }
  const replies = [
    { name: 'pong' },
    { name: 'pong, persistent', persistent: true },
    { name: 'closer nodes', closer: true, persistent: true },
    { name: 'error', error: 17, closer: true },
    { name: 'value and token', value: fill(3, 20), token: true, closer: true, persistent: true }
  ]
  for (const r of replies) {
    io.ephemeral = !r.persistent
    const req = io.createRequest(OWN, null, false, 3, fill(7), null)
    req.from = OTHER
    sent.length = 0
    req._sendReply(r.error || 0, r.value || null, !!r.token, !!r.closer, OTHER, io.serverSocket)
    out.push({
      name: r.name,
      kind: 'reply',
      tid: req.tid,
      to: text(OTHER),
      from: text(OWN),
      id: r.persistent ? hex(io.table.id) : null,
      token: r.token ? hex(io.token(OTHER, 1)) : null,
      closer: r.closer ? io.table.closest(fill(7)).map(text) : [],
      error: r.error || 0,
      value: hex(r.value),
      bytes: hex(sent[0].buf)
    })
  }
  return out
}

function values() {
  const keyPair = createKeyPair(fill(42))
  const publicKey = keyPair.publicKey
  const target = fill(11)
  const token = fill(12)
  const id = fill(13)
  const relayAddresses = [at('1.2.3.4', 5), at('255.0.255.0', 65535)]
  const refresh = fill(14)

  const announces = []
  for (const a of [
    { relayAddresses: [], refresh: null, bump: 0 },
    { relayAddresses, refresh: null, bump: 1763700000000 },
    { relayAddresses, refresh, bump: 0 }
  ]) {
    const ann = { peer: { publicKey, relayAddresses: a.relayAddresses }, refresh: a.refresh, signature: null, bump: a.bump }
    ann.signature = Persistent.signAnnounce(target, token, id, ann, keyPair)
    announces.push({
      relays: a.relayAddresses.map(text),
      refresh: hex(a.refresh),
      bump: a.bump,
      bytes: hex(c.encode(m.announce, ann))
    })
  }
  const unann = { peer: { publicKey, relayAddresses: [] }, refresh: null, signature: null }
  unann.signature = Persistent.signUnannounce(target, token, id, unann, keyPair)

  const mutables = [0, 1, 252, 253, 70000, 5000000000].map((seq) => {
    const value = fill(seq & 255, 3 + (seq & 255))
    const signature = Persistent.signMutable(seq, value, keyPair)
    return {
      seq,
      value: hex(value),
      put: hex(c.encode(m.mutablePutRequest, { publicKey, seq, value, signature })),
      get: hex(c.encode(m.mutableGetResponse, { seq, value, signature }))
    }
  })

  const record = c.encode(m.peer, { publicKey, relayAddresses })
  const handshakes = [
    { mode: 0, noise: fill(1, 70), peerAddress: null, relayAddress: null },
    { mode: 3, noise: fill(1, 300), peerAddress: relayAddresses[0], relayAddress: relayAddresses[1] },
    { mode: 4, noise: fill(1, 3), peerAddress: relayAddresses[0], relayAddress: null }
  ].map((h) => ({
    mode: h.mode,
    noise: hex(h.noise),
    peer: text(h.peerAddress),
    relay: text(h.relayAddress),
    bytes: hex(c.encode(m.handshake, h))
  }))
  const holepunches = [
    { mode: 0, id: 0, payload: fill(1, 70), peerAddress: relayAddresses[0] },
    { mode: 2, id: 300, payload: fill(1, 3), peerAddress: null }
  ].map((h) => ({
    mode: h.mode,
    id: h.id,
    payload: hex(h.payload),
    peer: text(h.peerAddress),
    bytes: hex(c.encode(m.holepunch, h))
  }))

  return {
    seed: hex(fill(42)),
    publicKey: hex(publicKey),
    publicKeyHash: hex(hash(publicKey)),
    namespaces: {
      announce: hex(NS.ANNOUNCE),
      peerHandshake: hex(NS.PEER_HANDSHAKE),
      peerHolepunch: hex(NS.PEER_HOLEPUNCH)
    },
    target: hex(target),
    token: hex(token),
    id: hex(id),
    announces,
    unannounce: hex(c.encode(m.announce, unann)),
    mutables,
    record: hex(record),
    recordRelays: relayAddresses.map(text),
    lookup: hex(c.encode(m.lookupRawReply, { peers: [record, record], bump: 1763700000000 })),
    handshakes,
    holepunches
  }
}

function ids() {
  return [OWN, OTHER, at('127.0.0.1', 1), at('0.0.0.0', 0)].map((a) => ({
    addr: text(a),
    id: hex(peer.id(a.host, a.port))
  }))
}

// What the sampler says after each of many samples, from a fixed pseudo random sequence.
function nat() {
  const runs = []
  let seed = 1
  const random = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 16) % n
  }
  for (const [hosts, ports] of [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [1, 1000], [3, 4]]) {
    const sampler = new NatSampler()
    const steps = []
    for (let i = 0; i < 60; i++) {
      const host = '10.0.0.' + (1 + (random(4) === 0 ? random(hosts) : 0))
      const port = 1000 + (random(3) === 0 ? random(ports) : 0)
      sampler.add(host, port)
      steps.push([host + ':' + port, sampler.host, sampler.port])
    }
    runs.push(steps)
  }
  return runs
}

// The chain is random: check its rule here and record only the rule's constants.
function chain() {
  const blocks = createRefreshChain(3)
  const out = Buffer.alloc(32)
  for (let i = 0; i + 1 < blocks.length; i++) {
    sodium.crypto_generichash(out, blocks[i + 1])
    if (!out.equals(blocks[i])) throw new Error('refresh chain')
  }
  sodium.crypto_generichash(out, fill(1))
  return { of: hex(fill(1)), is: hex(out) }
}

const all = { rpc: rpc(), ids: ids(), values: values(), nat: nat(), refresh: chain() }
fs.writeFileSync(new URL('dht.json', import.meta.url), JSON.stringify(all, null, 1) + '\n')

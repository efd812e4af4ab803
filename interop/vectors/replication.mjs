// Makes replication.json: the replication messages and capabilities of hypercore.
// Run with `node interop/vectors/replication.mjs`; the output does not change between runs.
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
const require = createRequire(import.meta.url)
const c = require('compact-encoding')
const b4a = require('b4a')
const { wire } = require('hypercore/lib/messages.js')
const caps = require('hypercore/lib/caps.js')

const hex = (b) => b4a.toString(b, 'hex')
const fill = (n, v) => b4a.alloc(n, v)
const enc = (e, m) => hex(c.encode(e, m))
const uints = [0, 1, 252, 253, 65535, 65536, 4294967295, 4294967296, Number.MAX_SAFE_INTEGER]

const none = { block: null, hash: null, seek: null, upgrade: null, manifest: false, priority: 0 }
const node = (index, size, v) => ({ index, size, hash: fill(32, v) })
const manifest = {
  version: 1,
  hash: 'blake2b',
  allowPatch: false,
  quorum: 1,
  signers: [{ signature: 'ed25519', namespace: fill(32, 4), publicKey: fill(32, 5) }],
  prologue: null,
  linked: null,
  userData: null
}

const out = {
  handshake: [true, false].map((seeks) => {
    const m = { seeks, capability: fill(32, 9) }
    return { seeks, capability: hex(m.capability), bytes: enc(wire.handshake, m) }
  }),
  sync: uints.map((n, i) => {
    const m = {
      fork: n,
      length: uints[(i + 1) % uints.length],
      remoteLength: uints[(i + 2) % uints.length],
      canUpgrade: i % 2 === 0,
      uploading: i % 3 === 0,
      downloading: i % 4 < 2,
      hasManifest: i % 5 < 2,
      allowPush: i % 6 < 2
    }
    return { ...m, bytes: enc(wire.sync, m) }
  }),
  request: [
    {},
    { manifest: true },
    { block: { index: 70000, nodes: 3 } },
    { hash: { index: 14, nodes: 0 } },
    { seek: { bytes: 1 << 30, padding: 0 } },
    { upgrade: { start: 5, length: 300 } },
    { block: { index: 1, nodes: 2 }, seek: { bytes: 12, padding: 8 }, upgrade: { start: 9, length: 1 } },
    { hash: { index: 2, nodes: 2 }, upgrade: { start: 9, length: 1 }, manifest: true, priority: 2 },
    { block: { index: 252, nodes: 253 }, priority: 300 }
  ].map((part, i) => {
    const m = { id: i * 100, fork: i, ...none, ...part }
    return { ...m, bytes: enc(wire.request, m) }
  }),
  cancel: uints.map((request) => ({ request, bytes: enc(wire.cancel, { request }) })),
  noData: [0, 1, 2, 7].map((reason) => ({ request: 300, reason, bytes: enc(wire.noData, { request: 300, reason }) })),
  want: [false, true].map((any) => {
    const m = { start: 2097152, length: 2097152, any }
    return { ...m, bytes: enc(wire.want, m), unwant: enc(wire.unwant, m) }
  }),
  bitfield: [[], [1], [0xffffffff, 0, 0x80000001]].map((words) => {
    const m = { start: words.length * 32768, bitfield: new Uint32Array(words) }
    return { start: m.start, words, bytes: enc(wire.bitfield, m) }
  }),
  range: [
    { drop: false, start: 0, length: 1 },
    { drop: true, start: 500, length: 1 },
    { drop: false, start: 0, length: 100000 },
    { drop: true, start: 9, length: 0 },
    { drop: false, start: 7, length: 1e15 }
  ].map((m) => ({ ...m, bytes: enc(wire.range, m) })),
  extension: [
    { name: 'chat', message: b4a.from('hello') },
    { name: '', message: b4a.alloc(0) }
  ].map((m) => ({ name: m.name, message: hex(m.message), bytes: enc(wire.extension, m) })),
  reorgHint: [{ from: 1, to: 300, ancestors: 70000 }].map((m) => ({ ...m, bytes: enc(wire.reorgHint, m) })),
  data: [
    {},
    { manifest },
    { block: { index: 3, value: b4a.from('block'), nodes: [node(4, 10, 1), node(9, 70000, 2)] } },
    { block: { index: 3, value: b4a.alloc(0), nodes: [] }, manifest },
    { hash: { index: 8, nodes: [node(8, 1, 3)] } },
    { seek: { bytes: 9999, nodes: [node(1, 2, 3), node(5, 6, 7)] } },
    {
      upgrade: { start: 1, length: 2, nodes: [node(2, 3, 4)], additionalNodes: [node(8, 1, 1)], signature: fill(64, 6) }
    },
    {
      block: { index: 0, value: fill(300, 8), nodes: [node(2, 1, 1)] },
      upgrade: { start: 0, length: 4, nodes: [], additionalNodes: [], signature: null },
      manifest
    }
  ].map((part, i) => {
    const m = { request: i * 130, fork: i, block: null, hash: null, seek: null, upgrade: null, manifest: null, ...part }
    const nodes = (ns) => ns.map((n) => [n.index, n.size, hex(n.hash)])
    return {
      request: m.request,
      fork: m.fork,
      block: m.block && { index: m.block.index, value: hex(m.block.value), nodes: nodes(m.block.nodes) },
      hash: m.hash && { index: m.hash.index, nodes: nodes(m.hash.nodes) },
      seek: m.seek && { bytes: m.seek.bytes, nodes: nodes(m.seek.nodes) },
      upgrade: m.upgrade && {
        start: m.upgrade.start,
        length: m.upgrade.length,
        nodes: nodes(m.upgrade.nodes),
        additionalNodes: nodes(m.upgrade.additionalNodes),
        signature: m.upgrade.signature ? hex(m.upgrade.signature) : ''
      },
      manifest: m.manifest !== null,
      bytes: enc(wire.data, m)
    }
  }),
  manifest: hex(c.encode(require('hypercore/lib/messages.js').manifest, manifest)),
  capability: [true, false].map((initiator) => ({
    initiator,
    key: hex(fill(32, 11)),
    handshakeHash: hex(fill(64, 12)),
    capability: hex(caps.replicate(initiator, fill(32, 11), fill(64, 12)))
  }))
}

writeFileSync(new URL('replication.json', import.meta.url), JSON.stringify(out, null, 1) + '\n')

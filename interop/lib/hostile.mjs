// Peers that do not keep to the protocol. Each is a swarm on the topic of a drive; none of them holds a key.
import dgram from 'node:dgram'
import { randomBytes } from 'node:crypto'
import Hyperswarm from 'hyperswarm'
import b4a from 'b4a'
import { noise, sampleApp } from './tree.mjs'
import { sleep } from './net.mjs'

const HUGE = 2 ** 53 - 1

/** Joins the topic and does `act(conn)` on every connection until closed. */
export class Intruder {
  constructor(bootstrap, act, { server = true, client = true } = {}) {
    this.swarm = new Hyperswarm({ bootstrap })
    this.connections = 0
    this.closed = 0
    this.remotes = []
    this.server = server
    this.client = client
    this.swarm.on('connection', (conn) => {
      this.connections++
      conn.on('error', () => {})
      conn.on('close', () => this.closed++)
      this.remotes.push({ host: conn.rawStream.remoteHost, port: conn.rawStream.remotePort })
      Promise.resolve(act(conn)).catch(() => {})
    })
  }

  async join(topic) {
    await this.swarm.join(topic, { server: this.server, client: this.client }).flushed()
  }

  close() {
    return this.swarm.destroy()
  }
}

const random = (n) => Math.floor(Math.random() * n)

/** Valid frames of the encrypted stream with random content of every size. */
export async function randomMessages(conn) {
  for (let i = 0; i < 400 && !conn.destroyed; i++) {
    conn.write(randomBytes(random(i % 10 === 0 ? 70_000 : 300)))
    if (i % 20 === 0) await sleep(1)
  }
}

/** Messages that begin as the multiplexer's do and go wrong later: unknown channels, endless batches, huge ids. */
export async function brokenMux(conn) {
  const session = (id, protocol, rest = []) =>
    b4a.from([0, 1, id, protocol.length, ...b4a.from(protocol), 0, 32, ...randomBytes(32), ...rest])
  const messages = [
    b4a.from([]),
    b4a.from([0]),
    b4a.from([0, 0]),
    b4a.from([0, 0, 1, 255]),
    b4a.from([0, 1]),
    b4a.from([0, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255]),
    b4a.from([0, 1, 1, 15]),
    b4a.from([0, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255]),
    b4a.from([0, 9, 9, 9]),
    b4a.from([255, 255, 255, 255, 255, 255, 255, 255, 255]),
    b4a.from([254, 255, 255, 255, 127, 0]),
    session(1, 'hypercore/alpha', [1, ...randomBytes(32)]),
    session(2, 'hypercore/alpha', []),
    session(3, 'nobody/knows/this', [])
  ]
  for (let id = 4; id < 200; id++) messages.push(session(id, 'hypercore/alpha', [1, ...randomBytes(32)]))
  for (const message of messages) conn.write(message)
  for (let i = 0; i < 300 && !conn.destroyed; i++) {
    conn.write(b4a.concat([b4a.from([1 + random(3), random(12)]), randomBytes(random(60))]))
    if (i % 20 === 0) await sleep(1)
  }
}

/** One frame that announces 16 MiB and never ends. */
export async function endlessFrame(conn) {
  conn.rawStream.write(b4a.from([0xff, 0xff, 0xff]))
  for (let i = 0; i < 64 && !conn.destroyed; i++) {
    conn.rawStream.write(noise(i + 1, 65536))
    await sleep(1)
  }
}

/** Bytes below the encryption. */
export async function rawNoise(conn) {
  for (let i = 0; i < 50 && !conn.destroyed; i++) {
    conn.rawStream.write(randomBytes(1 + random(5000)))
    await sleep(1)
  }
}

/** Opens connections and closes them again at once, many times. */
export async function hangUp(conn) {
  await sleep(random(20))
  conn.destroy()
}

/**
 * A JavaScript peer that speaks the protocol well and lies in it. `core` is a Hypercore of the drive in
 * the liar's store; every peer of it gets what `lies` does to it, except those whose public key `spare` knows:
 * JavaScript does not survive some of these either, and the honest ones live in the process of the test.
 */
export function lie(core, lies, spare = () => false) {
  const tell = (peer) => {
    if (!spare(peer.remotePublicKey)) lies(peer)
  }
  for (const peer of core.peers) tell(peer)
  core.on('peer-add', tell)
}

/** Ranges, wants, requests and bitfields far beyond any core. */
export async function hugeNumbers(peer) {
  await sleep(20)
  const send = (wire, message) => {
    try {
      peer[wire].send(message)
    } catch {}
  }
  for (const [start, length] of [[0, HUGE], [HUGE - 1, 1], [2 ** 40, 2 ** 52], [0, 0], [5, HUGE - 5]]) {
    send('wireRange', { drop: false, start, length })
    send('wireRange', { drop: true, start, length })
    send('wireWant', { start, length })
    send('wireUnwant', { start, length })
  }
  send('wireBitfield', { start: HUGE - 2 ** 30, bitfield: new Uint32Array(512).fill(0xffffffff) })
  send('wireBitfield', { start: 7, bitfield: new Uint32Array(50_000).fill(0xffffffff) })
  const request = { id: 1, fork: 0, block: null, hash: null, seek: null, upgrade: null, manifest: false, priority: 0 }
  for (let id = 1; id < 3000; id++) {
    send('wireRequest', { ...request, id, block: { index: HUGE - id, nodes: HUGE } })
    send('wireRequest', { ...request, id, hash: { index: HUGE - id, nodes: 0 } })
    send('wireRequest', { ...request, id, seek: { bytes: HUGE, padding: 0 }, upgrade: { start: HUGE - 1, length: HUGE } })
    send('wireRequest', { ...request, id, upgrade: { start: 0, length: HUGE } })
    send('wireCancel', { request: HUGE - id })
  }
  const sync = { remoteLength: HUGE, canUpgrade: true, uploading: true, downloading: true, hasManifest: true, allowPush: false }
  send('wireSync', { ...sync, fork: HUGE, length: HUGE })
  send('wireSync', { ...sync, fork: 0, length: HUGE })
}

/** Data nobody asked for: blocks, upgrades and manifests of random bytes. */
export async function unasked(peer) {
  await sleep(20)
  const nodes = (n) => Array.from({ length: n }, (_, i) => ({ index: i * 2, size: 10, hash: randomBytes(32) }))
  for (let i = 0; i < 200 && !peer.removed; i++) {
    peer.wireData.send({
      request: i % 3 === 0 ? 0 : random(50),
      fork: i % 7 === 0 ? 1 : 0,
      block: i % 2 === 0 ? { index: random(20), value: randomBytes(random(3000)), nodes: nodes(random(40)) } : null,
      hash: i % 5 === 0 ? { index: random(40), nodes: nodes(3) } : null,
      seek: null,
      upgrade:
        i % 3 === 0
          ? { start: random(10), length: random(1000), nodes: nodes(5), additionalNodes: nodes(200), signature: randomBytes(64) }
          : null,
      manifest: null
    })
  }
}

/** Answers every request with a block that was changed in one bit. */
export function wrongBlocks(peer) {
  const send = peer.wireData.send
  peer.wireData.send = function (message) {
    if (message.block?.value?.length) {
      const value = b4a.from(message.block.value)
      value[random(value.length)] ^= 1 << random(8)
      message = { ...message, block: { ...message.block, value } }
    }
    return send.call(this, message)
  }
}

/** Answers every request with a tree node that was changed. */
export function wrongNodes(peer) {
  const send = peer.wireData.send
  peer.wireData.send = function (message) {
    const bend = (nodes) => nodes.map((n) => ({ ...n, hash: randomBytes(32) }))
    if (message.block) message = { ...message, block: { ...message.block, nodes: bend(message.block.nodes) } }
    if (message.upgrade) message = { ...message, upgrade: { ...message.upgrade, nodes: bend(message.upgrade.nodes) } }
    return send.call(this, message)
  }
}

/** Takes every request and answers none. */
export function silence(peer) {
  peer.wireData.send = () => true
  peer.wireNoData.send = () => true
}

/** Answers every request three seconds late. */
export function slow(peer) {
  const send = peer.wireData.send
  peer.wireData.send = function (message) {
    setTimeout(() => {
      try {
        send.call(this, message)
      } catch {}
    }, 3000)
    return true
  }
}

/** Claims thousands of blocks more than there are, and proves nothing of it. */
export function longer(peer) {
  silence(peer)
  const send = peer.wireSync.send
  peer.wireSync.send = function (message) {
    return send.call(this, { ...message, length: message.length + 5000, canUpgrade: true })
  }
  peer.sendSync()
}

/** Random datagrams, and datagrams that begin like those of the DHT and of its streams, to an address. */
export async function datagrams(address, count = 3000) {
  const socket = dgram.createSocket('udp4')
  const heads = [[], [0x03], [0x13], [0x03, 0], [0x13, 0xff], [255, 1, 0, 0], [255, 1, 2, 0], [255, 1, 8, 4]]
  for (let i = 0; i < count; i++) {
    const message = b4a.concat([b4a.from(heads[i % heads.length]), randomBytes(random(i % 50 === 0 ? 1400 : 120))])
    await new Promise((resolve) => socket.send(message, address.port, address.host, resolve))
    if (i % 200 === 0) await sleep(2)
  }
  await new Promise((resolve) => socket.close(resolve))
}

export const honestTree = () => sampleApp({ size: 3_000_000 })

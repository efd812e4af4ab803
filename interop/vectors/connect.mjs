// Writes connect.json: what the real hyperdht makes of handshake payloads, holepunch payloads and handshakes with
// fixed seeds. Run with `node interop/vectors/connect.mjs`; the output does not change between runs.
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'

const require = createRequire(new URL('../package.json', import.meta.url))
const c = require('compact-encoding')
const sodium = require('sodium-universal')
const curve = require('noise-curve-ed')
const m = require('hyperdht/lib/messages')
const NoiseWrap = require('hyperdht/lib/noise-wrap')
const SecurePayload = require('hyperdht/lib/secure-payload')
const Holepuncher = require('hyperdht/lib/holepuncher')
const bogon = require('bogon')

const hex = (b) => Buffer.from(b).toString('hex')
const fill = (n, size = 32) => Buffer.alloc(size, n)
const at = (s) => ({ host: s.split(':')[0], port: Number(s.split(':')[1]) })

// In the generator's own spelling; `addresses6` is what others may send.
const payloads = [
  { error: 0, firewall: 0, holepunch: null, addresses4: [], addresses6: [], udx: { reusableSocket: false, id: 1, seq: 0 }, secretStream: {}, relayThrough: null },
  { error: 0, firewall: 1, holepunch: null, addresses4: ['1.2.3.4:5', '127.0.0.1:49737'], addresses6: null, udx: { reusableSocket: true, id: 0xffffffff, seq: 7 }, secretStream: {}, relayThrough: null, relayAddresses: ['9.8.7.6:65535'] },
  { error: 3, firewall: 2, holepunch: { id: 300, relays: [['1.1.1.1:1', '2.2.2.2:2'], ['3.3.3.3:3', '4.4.4.4:4']] }, addresses4: ['10.0.0.1:1'], udx: null, secretStream: null, relayThrough: { publicKey: '07'.repeat(32), token: '08'.repeat(32) }, relayAddresses: ['1.0.0.1:256', '1.0.0.2:257', '1.0.0.3:258'] },
  { error: 1, firewall: 3, holepunch: { id: 0, relays: [] }, addresses4: [], addresses6: [{ host: '2001:db8::1', port: 9 }, { host: '::2', port: 10 }], udx: { reusableSocket: false, id: 70000, seq: 0 }, secretStream: {}, relayThrough: null }
]
const real = (p) => ({
  ...p,
  holepunch: p.holepunch && { id: p.holepunch.id, relays: p.holepunch.relays.map(([r, q]) => ({ relayAddress: at(r), peerAddress: at(q) })) },
  addresses4: p.addresses4.map(at),
  relayThrough: p.relayThrough && { publicKey: Buffer.from(p.relayThrough.publicKey, 'hex'), token: Buffer.from(p.relayThrough.token, 'hex') },
  relayAddresses: p.relayAddresses ? p.relayAddresses.map(at) : null
})

const rounds = [
  { error: 0, firewall: 0, round: 0, connected: false, punching: false, addresses: null, remoteAddress: null, token: null, remoteToken: null },
  { error: 1, firewall: 2, round: 3, connected: true, punching: true, addresses: ['1.2.3.4:5', '1.2.3.5:6'], remoteAddress: '7.7.7.7:8', token: '0a'.repeat(32), remoteToken: '0b'.repeat(32) },
  { error: 3, firewall: 3, round: 30, connected: false, punching: true, addresses: [], remoteAddress: null, token: null, remoteToken: '0c'.repeat(32) }
]
const realRound = (r) => ({
  ...r,
  addresses: r.addresses && r.addresses.map(at),
  remoteAddress: r.remoteAddress && at(r.remoteAddress),
  token: r.token && Buffer.from(r.token, 'hex'),
  remoteToken: r.remoteToken && Buffer.from(r.remoteToken, 'hex')
})

function handshake () {
  const client = curve.generateKeyPair(fill(1))
  const server = curve.generateKeyPair(fill(2))
  const a = new NoiseWrap(client, server.publicKey)
  const b = new NoiseWrap(server, null)
  a.handshake.e = curve.generateKeyPair(fill(11))
  b.handshake.e = curve.generateKeyPair(fill(12))
  const first = Buffer.from(a.send(real(payloads[0])))
  b.recv(Buffer.from(first))
  const second = Buffer.from(b.send(real(payloads[1])))
  a.recv(Buffer.from(second))
  const [x, y] = [a.final(), b.final()]
  if (!x.holepunchSecret.equals(y.holepunchSecret)) throw new Error('secret')
  const secure = new SecurePayload(x.holepunchSecret)
  const sealed = rounds.map((r) => {
    // the nonce is random; the same bytes with a fixed one
    const nonce = fill(r.round & 255, 24)
    const plain = c.encode(m.holepunchPayload, realRound(r))
    const box = Buffer.alloc(plain.byteLength + 16)
    sodium.crypto_secretbox_easy(box, plain, nonce, x.holepunchSecret)
    const out = Buffer.concat([nonce, box])
    if (secure.decrypt(Buffer.from(out)).round !== r.round) throw new Error('sealed')
    return hex(out)
  })
  secure._localSecret.fill(13)
  return {
    first: hex(first),
    second: hex(second),
    tx: hex(x.tx),
    rx: hex(x.rx),
    hash: hex(x.hash),
    sealed,
    token: hex(secure.token({ host: '1.2.3.4', port: 5 }))
  }
}

// Addresses at the edges of each range, and how bogon sees them.
const edges = []
for (const ip of ['0.0.0.0', '0.255.255.255', '1.0.0.0', '9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0', '100.63.255.255', '100.64.0.0', '100.127.255.255', '100.128.0.0', '126.255.255.255', '127.0.0.0', '127.255.255.255', '128.0.0.0', '169.253.255.255', '169.254.0.0', '169.254.255.255', '169.255.0.0', '172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0', '191.255.255.255', '192.0.0.0', '192.0.0.255', '192.0.1.0', '192.0.2.0', '192.0.2.255', '192.0.3.0', '192.167.255.255', '192.168.0.0', '192.168.255.255', '192.169.0.0', '198.17.255.255', '198.18.0.0', '198.19.255.255', '198.20.0.0', '198.51.99.255', '198.51.100.0', '198.51.100.255', '198.51.101.0', '203.0.112.255', '203.0.113.0', '203.0.113.255', '203.0.114.0', '223.255.255.255', '224.0.0.0', '239.255.255.255', '240.0.0.0', '255.255.255.255']) {
  edges.push({ ip, private: bogon.isPrivate(ip), reserved: bogon.isReserved(ip), bogon: bogon.isBogon(ip) })
}

const mine = ['192.168.122.238:1', '10.1.2.3:1']
const theirs = ['10.9.9.9:2', '192.168.0.23:3', '192.168.122.1:4', '10.1.9.9:5', '8.8.8.8:6', '10.1.2.9:7']
const matches = []
for (let i = 1; i < 1 << mine.length; i++) {
  for (let j = 1; j < 1 << theirs.length; j++) {
    const a = mine.filter((_, n) => i & (1 << n))
    const b = theirs.filter((_, n) => j & (1 << n))
    const best = Holepuncher.matchAddress(a.map(at), b.map(at))
    matches.push([a, b, best && `${best.host}:${best.port}`])
  }
}

const out = {
  payloads: payloads.map((p) => ({ value: p, bytes: hex(c.encode(m.noisePayload, real(p))) })),
  rounds: rounds.map((r) => ({ value: r, bytes: hex(c.encode(m.holepunchPayload, realRound(r))) })),
  handshake: handshake(),
  edges,
  matches
}
writeFileSync(new URL('./connect.json', import.meta.url), JSON.stringify(out) + '\n')

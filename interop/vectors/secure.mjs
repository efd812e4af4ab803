// Writes secure.json: what the real noise-handshake, @hyperswarm/secret-stream, sodium and protomux make of fixed
// seeds. Run with `node interop/vectors/secure.mjs`; the output does not change between runs.
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import { EventEmitter } from 'node:events'

const require = createRequire(new URL('../package.json', import.meta.url))
const sodium = require('sodium-universal')
const Noise = require('noise-handshake')
const curve = require('noise-curve-ed')
const SecretStream = require('@hyperswarm/secret-stream')
const Protomux = require('protomux')
const c = require('compact-encoding')
const crypto = require('hypercore-crypto')

const hex = (b) => Buffer.from(b).toString('hex')
const fill = (n, size = 32) => Buffer.alloc(size, n)
const pattern = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7 + (i >> 8)) & 255))
const hash = (b) => {
  const out = Buffer.alloc(32)
  sodium.crypto_generichash(out, b)
  return hex(out)
}

function noise (name, prologue) {
  const keys = [curve.generateKeyPair(fill(1)), curve.generateKeyPair(fill(2))]
  const ends = keys.map((k, i) => {
    const n = new Noise(name, i === 0, k, { curve })
    n.initialise(prologue, i === 0 ? keys[1].publicKey : null)
    n.e = curve.generateKeyPair(fill(11 + i))
    return n
  })
  const messages = []
  let turn = 0
  while (!ends[0].complete || !ends[1].complete) {
    const payload = messages.length === 1 ? Buffer.alloc(0) : Buffer.from(`payload ${messages.length}`)
    const bytes = ends[turn].send(payload)
    // recv wipes keys inside the message at the end of the handshake
    const got = ends[1 - turn].recv(Buffer.from(bytes))
    if (!payload.equals(got)) throw new Error('payload')
    messages.push({ payload: hex(payload), bytes: hex(bytes) })
    turn = 1 - turn
  }
  return {
    pattern: name,
    prologue: hex(prologue),
    staticSeeds: ['01'.repeat(32), '02'.repeat(32)],
    ephemeralSeeds: ['0b'.repeat(32), '0c'.repeat(32)],
    messages,
    tx: hex(ends[0].tx),
    rx: hex(ends[0].rx),
    hash: hex(ends[0].hash)
  }
}

// Which points the curve takes: the torsion points, sums with them, other spellings, random bytes.
function points () {
  const out = []
  const add = (what, p) => {
    let secret = null
    try {
      secret = hex(curve.dh(p, curve.generateKeyPair(fill(1))))
    } catch {}
    out.push({ what, point: hex(p), secret })
  }
  const good = curve.generateKeyPair(fill(2)).publicKey
  add('ordinary', good)
  const torsion = [
    '0100000000000000000000000000000000000000000000000000000000000000',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    '0000000000000000000000000000000000000000000000000000000000000000',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'
  ].map((h) => Buffer.from(h, 'hex'))
  torsion.forEach((t, i) => {
    add(`torsion ${i}`, t)
    if (i > 0) {
      const mixed = Buffer.alloc(32)
      try {
        sodium.crypto_core_ed25519_add(mixed, good, t)
        add(`ordinary + torsion ${i}`, mixed)
      } catch {}
    }
  })
  for (const low of [0xed, 0xee, 0xf0, 0xf1, 0xff]) {
    for (const top of [0x7f, 0xff]) {
      const p = fill(0xff)
      p[0] = low
      p[31] = top
      add(`not canonical ${low} ${top}`, p)
    }
  }
  const negativeZero = fill(0)
  negativeZero[0] = 1
  negativeZero[31] = 0x80
  add('identity with a sign', negativeZero)
  for (let i = 0; i < 64; i++) {
    const p = Buffer.alloc(32)
    sodium.crypto_generichash(p, Buffer.from(`point ${i}`))
    add(`bytes ${i}`, p)
  }
  return out
}

function secretstream () {
  const key = fill(21)
  const header = fill(22, sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES)
  const state = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES)
  sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
  const messages = []
  const sizes = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200, 1000, 16383, 16384, 16385, 65536, 300001]
  for (const [i, size] of sizes.entries()) {
    const tag = i === 4 ? 2 : i === 9 ? 3 : i === 10 ? 1 : 0
    const plain = pattern(size)
    const sealed = Buffer.alloc(size + 17)
    sodium.crypto_secretstream_xchacha20poly1305_push(state, sealed, plain, null, tag)
    messages.push({ size, tag, sealed: size <= 128 ? hex(sealed) : null, hash: hash(sealed) })
  }
  return { key: hex(key), header: hex(header), messages }
}

function secretbox () {
  return [0, 1, 16, 31, 32, 33, 64, 100, 1000].map((size) => {
    const nonce = fill(size & 255, 24)
    const sealed = Buffer.alloc(size + 16)
    sodium.crypto_secretbox_easy(sealed, pattern(size), nonce, fill(31))
    return { size, nonce: hex(nonce), sealed: hex(sealed) }
  })
}

// The unordered messages of a secret stream, with the random first counter replaced.
function unordered () {
  const hs = { tx: fill(41), rx: fill(42), hash: fill(43, 64), publicKey: fill(1), remotePublicKey: fill(2) }
  const out = {}
  for (const initiator of [true, false]) {
    const raw = new EventEmitter()
    const written = []
    Object.assign(raw, { write: (b) => written.push(Buffer.from(b)), destroy () {}, resume () {}, pause () {} })
    const s = new SecretStream(initiator, raw, { handshake: hs })
    const first = Buffer.from('fffefdfcfbfaf9f8', 'hex')
    s._sendState.set(first, 64)
    s._sendState.set(first, 72)
    out[initiator ? 'initiator' : 'responder'] = {
      id: hex(SecretStream.id(hs.hash, initiator)),
      firstFrame: hex(written[0].subarray(0, 35)),
      sealed: [0, 5, 40].map((n) => hex(s._boxMessage(pattern(n))))
    }
    s.destroy()
  }
  return { hash: hex(hs.hash), counter: 'fffefdfcfbfaf9f8', ...out }
}

// Two protomuxes, each writing into a list; frames are handed over one by one.
class Wire extends EventEmitter {
  constructor () {
    super()
    this.userData = null
    this.frames = []
    this.destroyed = false
  }

  write (b) {
    this.frames.push(Buffer.from(b))
    return true
  }

  destroy (err) { this.destroyed = true; this.error = err }
  end () {}
  pause () {}
  resume () {}
}

const tick = () => new Promise((resolve) => setTimeout(resolve, 2))

async function mux () {
  const log = []
  const wires = [new Wire(), new Wire()]
  const names = ['a', 'b']
  const muxes = wires.map((w) => new Protomux(w))
  const channel = (side, protocol, id, handshake) => {
    const ch = muxes[side].createChannel({
      protocol,
      id,
      unique: false,
      handshake: c.raw,
      messages: Array.from({ length: 300 }, (_, type) => ({
        encoding: c.raw,
        onmessage: (m) => log.push({ side: names[side], got: 'message', on: `${protocol}/${id ? hex(id) : ''}`, type, payload: hex(m) })
      })),
      onopen: (h) => log.push({ side: names[side], got: 'open', on: `${protocol}/${id ? hex(id) : ''}`, handshake: hex(h) }),
      onclose: (remote) => { if (remote) log.push({ side: names[side], got: 'close', on: `${protocol}/${id ? hex(id) : ''}` }) }
    })
    ch.open(handshake)
    return ch
  }
  const pass = async () => {
    for (let busy = true; busy;) {
      busy = false
      for (const side of [0, 1]) {
        const frames = wires[side].frames
        wires[side].frames = []
        for (const f of frames) {
          busy = true
          log.push({ side: names[side], sent: hex(f) })
          wires[1 - side].emit('data', f)
          await tick()
        }
      }
    }
  }
  const b = Buffer.from
  muxes[1].pair({ protocol: 'late', id: fill(7) }, () => {
    const ch = channel(1, 'late', fill(7), b('late b'))
    ch.messages[2].send(b('from late'))
  })

  const a0 = channel(0, 'alpha', fill(5), b('hello from a'))
  const b0 = channel(1, 'alpha', fill(5), b('hello from b'))
  a0.messages[0].send(b('early'))
  await pass()
  a0.messages[253].send(b('type over one byte'))
  a0.messages[1].send(b(''))
  await pass()

  const a1 = channel(0, 'late', fill(7), b(''))
  a1.messages[0].send(b('kept until opened'))
  const a2 = channel(0, 'nobody wants this', null, b('x'))
  await pass()

  muxes[0].cork()
  a0.messages[3].send(b('one'))
  a0.messages[3].send(b('two'))
  a1.messages[4].send(b('three'))
  a0.messages[5].send(pattern(300))
  const a3 = channel(0, 'corked', null, b('in a batch'))
  a3.messages[0].send(b('after its open'))
  muxes[0].uncork()
  const b3 = channel(1, 'corked', null, b('b too'))
  await pass()

  b0.close()
  a3.messages[0].send(b('still here'))
  await pass()
  a3.close()
  await pass()
  const a4 = channel(0, 'alpha', fill(5), b('again'))
  const b4 = channel(1, 'alpha', fill(5), b('again too'))
  await pass()
  b4.messages[0].send(b('reused number'))
  a4.close()
  await pass()
  void a2
  void b3
  if (wires[0].destroyed || wires[1].destroyed) throw new Error('destroyed')
  return log
}

const out = {
  noise: [noise('IK', Buffer.from('the prologue')), noise('XX', Buffer.alloc(0)), noise('IK', crypto.namespace('hyperswarm/dht', [0])[0])],
  points: points(),
  secretstream: secretstream(),
  secretbox: { key: hex(fill(31)), messages: secretbox() },
  unordered: unordered(),
  mux: await mux()
}
writeFileSync(new URL('./secure.json', import.meta.url), JSON.stringify(out, null, 1) + '\n')

// What a signer does in JavaScript: keys, requests, responses, commits with hyper-multisig and hypercore-sign.
import { createRequire } from 'node:module'
import fs from 'node:fs'
import path from 'node:path'
import sodium from 'sodium-native'
import crypto from 'hypercore-crypto'
import HyperMultisig from 'hyper-multisig'
import SignLib from 'hypercore-sign-lib'
import z32 from 'z32'
import b4a from 'b4a'

const require = createRequire(import.meta.url)
/** The parts of the stand-alone hypercore-sign 3 that do not read from a terminal. */
export const standalone = {
  ...require('hypercore-sign/lib/secure.js'),
  Response: require('hypercore-sign/lib/messages.js').Response,
  request: require('module').createRequire(require.resolve('hypercore-sign/lib/verify.js'))('hypercore-signing-request')
}

/** Limits that take a millisecond instead of seconds. The key file carries them. */
export const CHEAP = { ops: 32768, mem: 1 << 24 }
export const PASSPHRASE = 'correct horse'

const u64 = (n) => {
  const out = b4a.alloc(8)
  out.writeBigUInt64LE(BigInt(n))
  return out
}

/** The bytes of a key file, made with libsodium. */
export function fixedKey({ seed, id, salt, passphrase, ops, mem, version = 1 }) {
  const { publicKey, secretKey } = crypto.keyPair(seed)
  const sum = b4a.alloc(32)
  sodium.crypto_generichash(sum, b4a.concat([id, secretKey]))
  const payload = b4a.concat([id, secretKey, sum])
  const stream = b4a.alloc(payload.length)
  sodium.crypto_pwhash_scryptsalsa208sha256(stream, b4a.from(passphrase), salt, ops, mem)
  for (let i = 0; i < payload.length; i++) payload[i] ^= stream[i]
  const head = version > 0 ? [b4a.from([version])] : []
  const tail = version > 0 ? [publicKey] : []
  return b4a.concat([...head, u64(ops), u64(mem), salt, b4a.from([payload.length]), payload, ...tail])
}

/** A signer with a key folder that both kinds of tools read. */
export class Signer {
  constructor(dir, index, { version = 1, asText = false } = {}) {
    this.dir = path.join(dir, `keys${index}`)
    this.seed = b4a.alloc(32, index + 1)
    this.keyPair = crypto.keyPair(this.seed)
    this.key = fixedKey({ seed: this.seed, id: b4a.alloc(8, index), salt: b4a.alloc(32, index + 9), passphrase: PASSPHRASE, ...CHEAP, version })
    this.public = z32.encode(this.keyPair.publicKey)
    fs.mkdirSync(this.dir, { recursive: true })
    fs.writeFileSync(path.join(this.dir, 'default'), asText ? z32.encode(this.key) : this.key)
    fs.writeFileSync(path.join(this.dir, 'default.public'), asText ? this.public : this.keyPair.publicKey)
  }

  /** Signs as `pear multisig sign` does. What it is given is wiped. */
  async signJs(request) {
    return z32.encode(await SignLib.sign(z32.decode(request), b4a.from(this.key), passphrase(), this.keyPair.publicKey))
  }

  /** Signs with `bosc multisig sign`. */
  async signBosc(bosc, request, ...flags) {
    const p = await bosc.ok('multisig', 'sign', request, '--yes', '--keys', this.dir, ...flags)
    return p.last('sign').response
  }
}

/** A passphrase as libsodium's own memory; it is wiped by whom it is given to. */
export function passphrase(text = PASSPHRASE) {
  const out = sodium.sodium_malloc(Buffer.byteLength(text))
  out.write(text)
  return out
}

/** A request as `pear multisig request` makes it. */
export async function requestJs(peer, config, drive, length, { force = false, legacy = false } = {}) {
  const multisig = new HyperMultisig(peer.store.session(), peer.swarm)
  const { publicKeys, namespace, quorum } = config
  const run = multisig.requestDrive(publicKeys, namespace, drive, length, { quorum, force, legacy })
  return z32.encode((await run.done()).request)
}

/** A commit as `pear multisig commit` makes it. `until(event)` may end it early by never resolving. */
export async function commitJs(peer, config, drive, request, responses, { first = false, dryRun = false, force = false } = {}) {
  const multisig = new HyperMultisig(peer.store.session(), peer.swarm)
  const { publicKeys, namespace, quorum } = config
  const run = multisig.commitDrive(publicKeys, namespace, drive, request, responses, {
    quorum, skipTargetChecks: first, dryRun, force
  })
  return run.done()
}

export { SignLib }

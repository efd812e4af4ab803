// Signing keys and old requests as npm hypercore-sign and hypercore-signing-request make them. Run: node vectors/multisig.mjs
import fs from 'node:fs'
import sodium from 'sodium-native'
import crypto from 'hypercore-crypto'
import z32 from 'z32'
import b4a from 'b4a'
import { fixedKey } from '../lib/signing.mjs'
import { signers } from '../lib/quorum.mjs'

const seed = b4a.alloc(32, 1)
const common = { seed, id: b4a.alloc(8, 0x11), salt: b4a.alloc(32, 0x22), passphrase: 'password123' }
const sensitive = {
  ops: sodium.crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE,
  mem: sodium.crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE
}
// Each takes the other way through libsodium's choice of N and p.
const limits = [
  { ops: 32768, mem: 1 << 24 },
  { ops: 1 << 18, mem: 1 << 24 },
  { ops: 1 << 19, mem: 1 << 24 },
  { ops: 1 << 21, mem: 1 << 24 }
]
const out = {
  seed: seed.toString('hex'),
  id: common.id.toString('hex'),
  salt: common.salt.toString('hex'),
  passphrase: common.passphrase,
  publicKey: crypto.keyPair(seed).publicKey.toString('hex'),
  sensitive: { ...sensitive, v1: fixedKey({ ...common, ...sensitive }).toString('hex') },
  cheap: limits.map((l) => ({
    ...l,
    v1: fixedKey({ ...common, ...l }).toString('hex'),
    v0: fixedKey({ ...common, ...l, version: 0 }).toString('hex')
  })),
  z32: z32.encode(fixedKey({ ...common, ...limits[0], version: 0 })),
  signers: signers(3).map((s) => z32.encode(s.publicKey))
}
fs.writeFileSync(new URL('./multisig.json', import.meta.url), JSON.stringify(out, null, 1) + '\n')

// Writes manifests.json: encodings and keys of manifests of every version, and signatures that hypercore's verifier
// makes and judges. Run with `node interop/vectors/manifests.mjs`; the output does not change between runs.
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'

const require = createRequire(new URL('../package.json', import.meta.url))
const crypto = require('hypercore-crypto')
const flat = require('flat-tree')
const Verifier = require('hypercore/lib/verifier')
const multisig = require('hypercore/lib/multisig')
const { MerkleTree, MerkleTreeBatch } = require('hypercore/lib/merkle-tree.js')

const hex = (b) => Buffer.from(b).toString('hex')
const fill = (n) => Buffer.alloc(32, n)
const pairs = [1, 2, 3].map((n) => crypto.keyPair(fill(n)))

// A tree of 16 blocks, block i is i + 1 bytes of value i.
const nodes = new Map()
for (let i = 0; i < 16; i++) {
  const data = Buffer.alloc(i + 1, i)
  nodes.set(2 * i, { index: 2 * i, size: data.length, hash: crypto.data(data) })
}
for (let depth = 1; depth <= 4; depth++) {
  for (let offset = 0; offset < 16 >> depth; offset++) {
    const index = flat.index(depth, offset)
    const [a, b] = flat.children(index).map((i) => nodes.get(i))
    nodes.set(index, { index, size: a.size + b.size, hash: crypto.parent(a, b) })
  }
}

function session(length, fork) {
  const roots = flat.fullRoots(2 * length).map((i) => nodes.get(i))
  const byteLength = roots.reduce((s, r) => s + r.size, 0)
  const rx = { getTreeNode: async (i) => nodes.get(i) || null, tryFlush() {}, destroy() {} }
  return { fork, roots, length, byteLength, signature: null, prologue: null, storage: { read: () => rx } }
}

const batch = (length, fork = 0) => new MerkleTreeBatch(session(length, fork))
const treeHash = (length) => MerkleTree.hash(session(length, 0))

const signers = (...list) => list.map((n) => ({ publicKey: pairs[n].publicKey, namespace: fill(0x40 + n) }))
const out = []

async function add(name, input, heads, key = null) {
  const manifest = Verifier.createManifest(input)
  key = key || Verifier.manifestHash(manifest)
  const verifier = new Verifier(key, manifest)
  const rows = []
  for (const h of heads) {
    const signature = await h.sign(verifier)
    let ok = false
    try {
      ok = verifier.verify(batch(h.length, h.fork || 0), signature)
    } catch {}
    rows.push({ length: h.length, fork: h.fork || 0, signature: signature ? hex(signature) : '', ok })
  }
  const encoded = Verifier.encodeManifest(manifest)
  const again = Verifier.encodeManifest(Verifier.decodeManifest(encoded))
  if (!encoded.equals(again)) throw new Error(name)
  out.push({ name, manifest: hex(encoded), key: hex(key), heads: rows })
}

// One signer signs the whole head.
const one = (n, length, fork = 0) => ({ length, fork, sign: (v) => v.sign(batch(length, fork), pairs[n]) })

// Several signers sign: [position among the signers, key pair, length signed].
function many(parts, length, fork = 0) {
  return {
    length,
    fork,
    async sign(v) {
      const inputs = []
      for (const [signer, pair, signed] of parts) {
        const signature = v.signers[signer].sign(batch(signed, fork), pairs[pair])
        const core = { state: session(signed, fork) }
        inputs.push(await multisig.partialSignature(core, signer, length, signed, signature))
      }
      return v.assemble(inputs)
    }
  }
}

await add('compat', { version: 0, signers: signers(0) }, [one(0, 5), one(0, 16, 7)], pairs[0].publicKey)
await add('v0 single', { version: 0, signers: signers(1) }, [one(1, 3), one(1, 8, 1)])
await add('v0 two of three', { version: 0, quorum: 2, signers: signers(0, 1, 2) }, [
  many([[0, 0, 6], [2, 2, 6]], 6),
  many([[0, 0, 6]], 6),
  many([[0, 0, 6], [0, 0, 6]], 6)
])
await add('v0 patches', { version: 0, quorum: 2, allowPatch: true, signers: signers(0, 1, 2) }, [
  many([[0, 0, 5], [1, 1, 11]], 5),
  many([[2, 2, 16], [1, 1, 9]], 4, 2),
  many([[2, 2, 7], [1, 1, 7]], 7)
])
await add('v0 prologue', { version: 0, prologue: { hash: treeHash(4), length: 0 } }, [])
await add('v1 default', Verifier.defaultSignerManifest(pairs[0].publicKey), [one(0, 1), one(0, 16, 3)])
await add('v1 two of three', { version: 1, quorum: 2, signers: signers(2, 1, 0) }, [
  many([[0, 2, 9], [1, 1, 9]], 9),
  many([[1, 1, 9], [2, 0, 9]], 9),
  many([[2, 0, 9], [1, 1, 9], [0, 2, 9]], 9),
  many([[0, 2, 9]], 9),
  many([[1, 1, 9], [1, 1, 9]], 9),
  many([[0, 1, 9], [1, 2, 9]], 9),
  many([[0, 2, 9], [1, 1, 10]], 9)
])
await add('v1 patches', { version: 1, quorum: 2, allowPatch: true, signers: signers(0, 1, 2) }, [
  many([[0, 0, 3], [1, 1, 4]], 3),
  many([[0, 0, 13], [1, 1, 16]], 8),
  many([[0, 0, 8], [2, 2, 12]], 8, 5)
])
await add('v1 prologue', { version: 1, signers: signers(0), prologue: { hash: treeHash(4), length: 4 } }, [
  { length: 4, sign: () => null },
  { length: 3, sign: () => null },
  one(0, 3),
  one(0, 5),
  { length: 5, sign: () => null }
])
await add('v1 static', { version: 1, quorum: 0, signers: [], prologue: { hash: treeHash(9), length: 9 } }, [
  { length: 9, sign: () => null },
  { length: 10, sign: () => null }
])
await add(
  'v2 linked and user data',
  { version: 2, signers: signers(0, 1), linked: [fill(7), fill(8)], userData: Buffer.from('hello') },
  [many([[0, 0, 2], [1, 1, 2]], 2)]
)
await add('v3 user data', { version: 3, signers: signers(2), userData: Buffer.from('x') }, [one(2, 2)])

const row = (r) => JSON.stringify(r)
writeFileSync(new URL('./manifests.json', import.meta.url), '[\n' + out.map(row).join(',\n') + '\n]\n')

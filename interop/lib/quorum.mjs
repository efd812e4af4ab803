// A drive that a quorum signs: block-for-block copy of a source drive under a manifest of several signers.
import Hypercore from 'hypercore'
import Hyperdrive from 'hyperdrive'
import crypto from 'hypercore-crypto'
import multisig from 'hypercore/lib/multisig.js'
import caps from 'hypercore/lib/caps.js'
import b4a from 'b4a'

/** The key pairs of signers 1, 2, 3...: Ed25519 from a seed of 32 equal bytes. */
export function signers(count) {
  return Array.from({ length: count }, (_, i) => crypto.keyPair(b4a.alloc(32, i + 1)))
}

/** Manifest, key and the two empty cores of a quorum drive, in a peer's store. */
export class QuorumDrive {
  constructor(peer, keyPairs, { quorum = 2, namespace = 'bosc/interop' } = {}) {
    this.peer = peer
    this.keyPairs = keyPairs
    this.quorum = quorum
    this.manifest = {
      version: 1,
      hash: 'blake2b',
      allowPatch: false,
      quorum,
      signers: keyPairs.map(({ publicKey }) => ({
        signature: 'ed25519',
        namespace: crypto.hash(b4a.from(namespace)),
        publicKey
      })),
      prologue: null
    }
    this.key = Hypercore.key(this.manifest)
    this.db = peer.store.get({ key: this.key, manifest: this.manifest, writable: true })
    this.blobs = peer.store.get({
      manifest: Hyperdrive.getContentManifest(this.manifest, this.key),
      writable: true
    })
  }

  /** Copies the source's new blocks, blobs first, signed by the signers with these indexes. */
  async commit(source, by) {
    await this.db.ready()
    await this.blobs.ready()
    const blobs = await source.getBlobs()
    await this._copy(blobs.core, this.blobs, by)
    await this._copy(source.core, this.db, by)
  }

  async _copy(from, to, by) {
    const blocks = []
    for (let i = to.length; i < from.length; i++) blocks.push(await from.get(i, { raw: true, valueEncoding: 'binary' }))
    if (blocks.length === 0) return
    const hash = await from.treeHash(from.length)
    await to.append(blocks, { signature: this.sign(to, hash, from.length, by) })
  }

  /** The stored form of a head signature: the proofs of the given signers, in their order. */
  sign(core, hash, length, by) {
    const signable = caps.treeSignable(core.key, hash, length, 0)
    return multisig.assemble(
      by.map((signer) => ({
        signer,
        signature: crypto.sign(signable, this.keyPairs[signer].secretKey),
        patch: 0,
        nodes: null
      }))
    )
  }

  /** Opens the copy as a drive. */
  open() {
    return this.peer.drive(this.key)
  }

  /**
   * Replaces the head signature of both cores in memory with what `change` makes of it, so that this peer
   * offers heads that it could never have stored.
   */
  async tamper(change) {
    for (const core of [this.db, this.blobs]) {
      const hash = await core.treeHash(core.length)
      core.core.state.signature = change(core.core.state.signature, (by) => this.sign(core, hash, core.length, by))
    }
  }

  async close() {
    await this.db.close()
    await this.blobs.close()
  }
}

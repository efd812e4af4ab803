// What every test needs: a directory, a network, peers of both kinds, and an end to all of them.
import fs from 'node:fs'
import path from 'node:path'
import { Bosc } from './bosc.mjs'
import { JsPeer, jsNetwork, within } from './net.mjs'
import { removeDir, tempDir, writeTree } from './tree.mjs'

/** Opens a fixture for the test `t`; everything made through it ends with the test, newest first. */
export async function fixture(t, { network = jsNetwork } = {}) {
  const f = new Fixture(t)
  if (network) {
    f.net = await network()
    f.bootstrap = f.net.bootstrap
    f.later(() => f.net.close())
  }
  return f
}

class Fixture {
  constructor(t) {
    this.dir = tempDir()
    this.net = null
    this.bootstrap = []
    this._ends = [() => removeDir(this.dir)]
    this._stores = 0
    this._trees = 0
    this.peers = []
    t.after(() => this.close())
  }

  later(end) {
    this._ends.push(end)
  }

  /** A bosc with a store of its own. */
  bosc({ env, store, bootstrap = this.bootstrap } = {}) {
    const dir = store ?? path.join(this.dir, `s${++this._stores}`)
    fs.mkdirSync(dir, { recursive: true })
    const bosc = new Bosc({ store: dir, bootstrap, env })
    this.later(() => bosc.close())
    return bosc
  }

  js(opts = {}) {
    const peer = new JsPeer(opts.bootstrap ?? this.bootstrap, opts)
    this.peers.push(peer)
    this.later(() => peer.close())
    return peer
  }

  /** True for the public key of a JavaScript peer of this test. */
  isJs(publicKey) {
    return this.peers.some((p) => p.swarm?.keyPair.publicKey.equals(publicKey))
  }

  /** A new folder with the given tree. */
  tree(spec) {
    const dir = path.join(this.dir, `tree${++this._trees}`)
    fs.mkdirSync(dir)
    return writeTree(dir, spec)
  }

  /** A path that does not exist yet. */
  fresh(label = 'out') {
    return path.join(this.dir, `${label}${++this._trees}`)
  }

  async close() {
    const errors = []
    while (this._ends.length) {
      try {
        await within(20_000, 'an end of the test', Promise.resolve(this._ends.pop()()))
      } catch (err) {
        errors.push(err)
      }
    }
    if (errors.length) throw errors[0]
  }
}

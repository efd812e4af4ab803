// Networks and JavaScript peers, all in this process and on loopback.
import DHT from 'hyperdht'
import createTestnet from 'hyperdht/testnet.js'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import Hyperswarm from 'hyperswarm'
import Localdrive from 'localdrive'
import idEncoding from 'hypercore-id-encoding'
import pearLink from 'pear-link'
import { tempDir, removeDir } from './tree.mjs'

export const LOOPBACK = '127.0.0.1'

/** A DHT of JavaScript nodes. Fewer than 4 leave a client waiting for neighbours that do not exist. */
export async function jsNetwork(size = 4) {
  const net = await createTestnet(size)
  return { bootstrap: net.bootstrap, nodes: net.nodes, close: () => net.destroy() }
}

/** One persistent JavaScript DHT node on loopback that joins `bootstrap`. */
export async function jsDhtNode(bootstrap) {
  const node = new DHT({ ephemeral: false, firewalled: false, bootstrap, host: LOOPBACK })
  await node.fullyBootstrapped()
  return node
}

/** A Corestore in a temporary directory and a swarm on `bootstrap`. Pass `dir` to reopen a store. */
export class JsPeer {
  constructor(bootstrap, { dir = null, primaryKey = null, keyPair, swarm = true } = {}) {
    this.ownsDir = dir === null
    this.dir = dir ?? tempDir('js')
    this.store = new Corestore(this.dir, primaryKey ? { primaryKey, unsafe: true } : {})
    this.swarm = null
    this.drives = []
    if (swarm) this.online({ bootstrap, keyPair })
  }

  online(opts) {
    this.swarm = new Hyperswarm(opts)
    this.swarm.on('connection', (conn) => {
      conn.on('error', () => {})
      this.store.replicate(conn)
    })
  }

  /** Leaves the network; the store stays open. */
  async offline() {
    await this.swarm?.destroy()
    this.swarm = null
  }

  /** Opens a drive by link or key, or a fresh one for a name. */
  async drive(key) {
    const drive = new Hyperdrive(this.store.session(), key ? parseLink(key).key : undefined)
    await drive.ready()
    this.drives.push(drive)
    return drive
  }

  /** A new writable drive with its own random name, as `pear touch` makes it. */
  async touch(name = tempName()) {
    const core = this.store.get({ name })
    await core.ready()
    const drive = await this.drive(core.key)
    await core.close()
    return drive
  }

  async join(drive, { server = true, client = true, flush = true } = {}) {
    const discovery = this.swarm.join(drive.discoveryKey, { server, client })
    if (flush) await discovery.flushed()
    return discovery
  }

  /** Waits until the drive has a head of at least `length` blocks (and of `fork`) from someone. */
  async head(drive, { length = 1, fork = 0, timeout = 30_000 } = {}) {
    const done = drive.findingPeers()
    this.swarm.flush().then(done, done)
    drive.core.update({ wait: true, force: true }).catch(() => {})
    await waitFor(() => drive.core.length >= length && drive.core.fork >= fork, {
      timeout,
      what: () => `head ${fork}.${length}; have ${drive.core.fork}.${drive.core.length}, ${drive.core.peers.length} peers`
    })
  }

  /** Every block of the db and the blobs core is local. */
  async fetchAll(drive, { timeout = 60_000 } = {}) {
    await within(timeout, 'db download', drive.core.download({ start: 0, end: drive.core.length }).done())
    const blobs = await within(timeout, 'blobs core', drive.getBlobs())
    const length = await drive.getBlobsLength()
    await waitFor(() => blobs.core.length >= length, { timeout, what: () => `blobs ${blobs.core.length}/${length}` })
    await within(timeout, 'blobs download', blobs.core.download({ start: 0, end: blobs.core.length }).done())
  }

  async close() {
    for (const drive of this.drives) await drive.close().catch(() => {})
    await this.offline()
    await this.store.close()
    if (this.ownsDir) removeDir(this.dir)
  }
}

/** Stages a folder into a drive exactly as `pear stage` does: prune, dedup, one batch. */
export async function jsStage(drive, dir, { prefix, ignore } = {}) {
  await drive.ready()
  const src = new Localdrive(dir, { followExternalLinks: true })
  const mirror = src.mirror(drive, { dedup: true, batch: true, prune: true, prefix, ignore })
  const diffs = []
  for await (const diff of mirror) diffs.push(diff)
  await src.close()
  return { diffs, count: mirror.count }
}

export function parseLink(link) {
  if (typeof link === 'string' && link.startsWith('pear://')) return pearLink.parse(link).drive
  return { key: idEncoding.decode(link), fork: null, length: null, hash: null }
}

/** What a drive says of itself in the words of the command line. */
export async function describe(drive) {
  const hash = await drive.core.treeHash()
  const blobs = await drive.getBlobs()
  const { key } = drive
  const { fork, length } = drive.core
  return {
    link: pearLink.serialize({ drive: { key } }),
    verlink: pearLink.serialize({ drive: { fork, length, key } }),
    hashlink: pearLink.serialize({ drive: { fork, length, key, hash } }),
    length,
    fork,
    blobs: {
      key: idEncoding.encode(blobs.core.key),
      length: blobs.core.length,
      fork: blobs.core.fork,
      byteLength: blobs.core.byteLength,
      hash: idEncoding.encode(await blobs.core.treeHash())
    }
  }
}

/** Polls until `test` holds; for states that have no event of their own. */
export async function waitFor(test, { timeout = 30_000, interval = 5, what = () => 'condition' } = {}) {
  const end = performance.now() + timeout
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`not in ${timeout} ms: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, interval))
  }
}

export function within(ms, what, promise) {
  let timer = null
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not in ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function tempName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('')
}

#!/usr/bin/env node
// touch, stage, seed, info, dump and dht over the JavaScript packages, with the `--json` lines of bosc.
// It has two uses: the suite runs against it to prove that the tests themselves are right, and the
// benchmark runs it as the JavaScript side. It has no human output and no option the suite does not use.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import Corestore from 'corestore'
import DHT from 'hyperdht'
import Hyperdrive from 'hyperdrive'
import Hyperswarm from 'hyperswarm'
import Localdrive from 'localdrive'
import idEncoding from 'hypercore-id-encoding'
import pearLink from 'pear-link'

class Failure extends Error {
  constructor(code, message, hint = null) {
    super(message)
    this.code = code
    this.hint = hint
  }
}

const FLAGS = {
  json: 'bool', store: 'text', bootstrap: 'text', timeout: 'number', port: 'number', checkout: 'number',
  truncate: 'number', 'stats-interval': 'number', 'until-sync': 'list', 'dry-run': 'bool', force: 'bool',
  ignore: 'text', only: 'text', prune: 'bool', relay: 'text'
}

function parseArgs(argv) {
  const flags = {}
  const words = []
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]
    if (!word.startsWith('--')) {
      words.push(word)
      continue
    }
    let [name, value] = word.slice(2).split('=', 2)
    if (name.startsWith('no-')) {
      name = name.slice(3)
      value = 'false'
    }
    const kind = FLAGS[name]
    if (!kind) throw new Failure('ERR_INVALID_INPUT', `Unrecognized Flag: ${word}`)
    if (kind === 'bool') {
      flags[name] = value !== 'false'
      continue
    }
    if (value === undefined) value = argv[++i]
    if (value === undefined) throw new Failure('ERR_INVALID_INPUT', `--${name} needs a value`)
    if (kind === 'number' && !/^\d+(\.\d+)?$/.test(value)) {
      throw new Failure('ERR_INVALID_INPUT', `--${name} must be a number`)
    }
    if (kind === 'list') (flags[name] ??= []).push(value)
    else flags[name] = kind === 'number' ? Number(value) : value
  }
  return { flags, words }
}

function bootstrapNodes(text) {
  if (!text) return undefined
  return text.split(',').map((item) => {
    const [host, port] = item.split(':')
    if (!host || !/^\d+$/.test(port)) throw new Failure('ERR_INVALID_INPUT', `not host:port: ${item}`)
    return { host, port: Number(port) }
  })
}

function parseLink(link) {
  if (!link) throw new Failure('ERR_INVALID_LINK', 'A valid pear link must be specified.')
  try {
    const { drive } = pearLink.parse(link)
    if (!drive.key) throw new Error('no key in it')
    return drive
  } catch (err) {
    throw new Failure('ERR_INVALID_LINK', `not a pear link: ${link}`, err.message)
  }
}

/** One open store, its swarm (opened on demand) and the drives in use. */
class Session {
  constructor(flags) {
    if (!flags.store) throw new Failure('ERR_INVALID_INPUT', '--store is required')
    this.flags = flags
    const primaryKey = process.env.BOSC_PRIMARY_KEY ? Buffer.from(process.env.BOSC_PRIMARY_KEY, 'hex') : null
    this.store = new Corestore(path.join(flags.store, 'db'), primaryKey ? { primaryKey, unsafe: true } : {})
    this._swarm = null
  }

  get swarm() {
    if (this._swarm === null) {
      this._swarm = new Hyperswarm({
        bootstrap: bootstrapNodes(this.flags.bootstrap),
        relayThrough: this.flags.relay ? idEncoding.decode(this.flags.relay) : undefined
      })
      this._swarm.on('connection', (conn) => {
        conn.on('error', noop)
        this.store.replicate(conn)
      })
    }
    return this._swarm
  }

  /** A session that may write is exclusive in JavaScript, so only `stage` asks for one. */
  async open(link, { writable = false } = {}) {
    const drive = new Hyperdrive(this.store.session({ writable }), link.key)
    await drive.ready()
    return drive
  }

  /** Waits for a head from a peer; a drive of our own needs none. */
  async head(drive, link, timeout) {
    const enough = () => drive.core.length > 0 && drive.core.length >= (link.length ?? 0)
    if (hasSecret(drive) && (enough() || !link.length)) return
    const discovery = this.swarm.join(drive.discoveryKey, { server: false, client: true })
    const done = drive.findingPeers()
    const flushed = this.swarm.flush().then(done, done)
    const update = drive.core.update().catch(noop)
    const end = Date.now() + timeout * 1000
    await Promise.race([update.then(() => flushed), sleep(timeout * 1000)])
    while (!enough()) {
      if (Date.now() >= end) {
        await discovery.destroy()
        if (drive.core.length > 0) {
          throw new Failure('ERR_NOT_FOUND', `the drive has no version ${link.length} (it has ${drive.core.length})`)
        }
        throw new Failure('ERR_NETWORK_TIMEOUT', `nobody offered ${pearLink.serialize({ drive: link })} in ${timeout} s`,
          'Is a seeder running? Try a longer --timeout.')
      }
      await sleep(20)
    }
  }

  async close() {
    if (this._swarm) await this._swarm.destroy()
    await this.store.close()
  }
}

async function touch({ session, emit }) {
  const name = randomBytes(16).toString('hex')
  const core = session.store.get({ name })
  await core.ready()
  const { key } = core
  await core.close()
  emit('final', { success: true, key: idEncoding.encode(key), link: pearLink.serialize({ drive: { key } }), name })
}

function readPackage(dir) {
  const file = path.join(dir, 'package.json')
  let text = null
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (err) {
    throw new Failure('ERR_INVALID_PROJECT_DIR', `no readable package.json in ${dir}`, err.message)
  }
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new Failure('ERR_INVALID_MANIFEST', `${file} is not JSON`, err.message)
  }
}

async function stage({ session, emit, words, flags, cwd }) {
  const link = parseLink(words[0])
  const dir = path.resolve(cwd, words[1] ?? '.')
  const pkg = readPackage(dir)
  const drive = await session.open(link, { writable: true })
  try {
    if (!drive.writable) {
      throw new Failure('ERR_PERMISSION_REQUIRED', `this store has no key to write ${words[0]}`,
        'Stage where the link was touched.')
    }
    if (flags.truncate !== undefined) {
      if (!Number.isInteger(flags.truncate)) throw new Failure('ERR_INVALID_INPUT', '--truncate needs an integer')
      try {
        await drive.truncate(flags.truncate)
      } catch (err) {
        throw new Failure('ERR_INVALID_INPUT', `cannot truncate to ${flags.truncate}`, err.message)
      }
    }
    const before = await describe(drive)
    const { key, link: plain, verlink } = before
    emit('staging', { name: pkg.name, key, link: plain, verlink, current: drive.version, dir })
    const src = new Localdrive(dir, { followExternalLinks: true })
    const mirror = src.mirror(drive, {
      dedup: true, batch: true, prune: true, dryRun: !!flags['dry-run'], prefix: csv(flags.only), ignore: csv(flags.ignore)
    })
    for await (const diff of mirror) {
      const type = diff.op === 'add' ? 1 : diff.op === 'remove' ? -1 : 0
      const sizes = [-diff.bytesRemoved, diff.bytesAdded].filter((n) => n !== 0)
      emit('byte-diff', { type, sizes, message: diff.key })
    }
    const after = await describe(drive)
    emit('summary', { ...mirror.count, length: after.length, byteLength: after.byteLength, blobs: after.blobs })
    if (flags['dry-run']) {
      emit('skipping', { reason: 'dry-run', success: true })
    } else {
      emit('complete', { dryRun: false })
      emit('addendum', { version: drive.version, key, link: plain, verlink: after.verlink, hashlink: after.hashlink,
        blobs: after.blobs })
    }
    emit('final', { success: true })
  } finally {
    await drive.close()
  }
}

async function info({ session, emit, words, flags }) {
  const link = parseLink(words[0])
  const drive = await session.open(link)
  try {
    await session.head(drive, link, flags.timeout ?? 30)
    if (drive.core.length === 0) {
      emit('empty', {})
      emit('final', { success: true })
      return
    }
    // Reading the manifest first also brings the head of the blobs core.
    const manifest = await drive.get('/package.json')
    const pkg = manifest ? JSON.parse(manifest) : {}
    const about = await describe(drive)
    emit('info', { ...about, name: pkg.name ?? null, version: pkg.version ?? null, upgrade: pkg.upgrade ?? null,
      productName: pkg.productName ?? null, writable: hasSecret(drive) })
    emit('final', { success: true })
  } finally {
    await drive.close()
  }
}

async function dump({ session, emit, words, flags, cwd }) {
  const link = parseLink(words[0])
  if (!words[1]) throw new Failure('ERR_INVALID_INPUT', 'dump needs a directory')
  const dir = path.resolve(cwd, words[1])
  if (!flags.force && fs.existsSync(dir) && fs.readdirSync(dir).length > 0) {
    throw new Failure('ERR_DIR_NONEMPTY', `${dir} is not empty`, 'Pass --force to write into it.')
  }
  const drive = await session.open(link)
  try {
    const version = flags.checkout ?? link.length ?? null
    await session.head(drive, { ...link, length: version }, flags.timeout ?? 30)
    emit('dumping', { link: words[0], dir })
    const src = version ? drive.checkout(version) : drive.checkout(drive.core.length)
    const dst = new Localdrive(dir)
    const mirror = src.mirror(dst, { prune: flags.prune !== false, prefix: csv(flags.only) })
    const copy = async () => {
      for await (const diff of mirror) {
        emit('byte-diff', { type: diff.op === 'add' ? 1 : diff.op === 'remove' ? -1 : 0, sizes: [diff.bytesAdded],
          message: diff.key })
      }
    }
    await whileMoving(drive, flags.timeout ?? 30, copy())
    await src.close()
    emit('final', { success: true, ...mirror.count })
  } finally {
    await drive.close()
  }
}

/** Fails when no block arrives for `timeout` seconds before `work` is done. */
async function whileMoving(drive, timeout, work) {
  let timer = null
  const stalled = new Promise((_resolve, reject) => {
    const err = new Failure('ERR_NETWORK_TIMEOUT', `nobody delivered anything for ${timeout} s`)
    timer = setTimeout(reject, timeout * 1000, err)
  })
  const moved = () => timer.refresh()
  drive.core.on('download', moved)
  const onblobs = () => drive.blobs?.core.on('download', moved)
  drive.on('blobs', onblobs)
  onblobs()
  work.catch(noop)
  return Promise.race([work, stalled]).finally(() => clearTimeout(timer))
}

async function seed({ session, emit, words, flags, stopped }) {
  const link = parseLink(words[0])
  const until = (flags['until-sync'] ?? []).map((key) => {
    if (!idEncoding.isValid(key)) throw new Failure('ERR_INVALID_INPUT', '--until-sync <key> must supply a valid z32 key')
    return idEncoding.decode(key)
  })
  const drive = await session.open(link)
  const { core } = drive
  const z = idEncoding.encode
  emit('seeding', { key: z(core.key), link: pearLink.serialize({ drive: { key: core.key } }) })

  let blobs = null
  let seen = ''
  const upload = { totalBytes: 0, totalBlocks: 0, speed: 0 }
  const download = { totalBytes: 0, totalBlocks: 0, speed: 0 }
  const synced = (c) => c.contiguousLength === c.length
  const stats = (always) => {
    const state = {
      driveLength: core.length, driveFork: core.fork, driveSynced: core.length > 0 && synced(core),
      // A staged drive has blobs; length 0 means that their head is not here yet.
      blobsLength: blobs ? blobs.core.length : 0, blobsSynced: !!blobs && blobs.core.length > 0 && synced(blobs.core)
    }
    const now = JSON.stringify(state)
    if (!always && now === seen) return
    seen = now
    emit('stats', { peers: core.peers.length, driveKey: z(core.key), discoveryKey: z(core.discoveryKey),
      contentKey: blobs ? z(blobs.core.key) : 'pending', whoami: z(session.swarm.keyPair.publicKey), ...state,
      upload, download, connections: session.swarm.connections.size })
  }
  const watch = (c) => {
    c.on('append', () => stats(false))
    c.on('truncate', () => stats(false))
    c.on('upload', (_index, bytes) => count(upload, bytes))
    c.on('download', (_index, bytes) => {
      count(download, bytes)
      if (synced(c)) stats(false)
    })
    c.download({ start: 0, end: -1 })
  }
  const onblobs = () => {
    if (blobs !== null || drive.blobs === null) return
    blobs = drive.blobs
    emit('key', z(blobs.core.key))
    watch(blobs.core)
  }
  drive.on('blobs', onblobs)
  onblobs()
  watch(core)
  core.on('peer-add', (peer) => emit('peer-add', z(peer.remotePublicKey)))
  core.on('peer-remove', (peer) => emit('peer-remove', z(peer.remotePublicKey)))

  const discovery = session.swarm.join(drive.discoveryKey, { server: true, client: true, limit: 16 })
  const timer = setInterval(() => stats(true), flags['stats-interval'] ?? 3000)
  const end = { over: false }
  stopped.then(() => (end.over = true))
  discovery.flushed().then(() => end.over || emit('announced', {}), noop)

  try {
    if (until.length === 0) {
      await stopped
    } else {
      for (const key of until) {
        while (!end.over && !(await hasAll(core, key) && (!blobs || await hasAll(blobs.core, key)))) await sleep(20)
        if (!end.over) emit('peer-sync', z(key))
      }
      if (!end.over) emit('final', { success: true })
    }
  } finally {
    end.over = true
    clearInterval(timer)
    await drive.close()
  }
}

async function hasAll(core, publicKey) {
  if (core.length === 0) return false
  const peer = core.peers.find((p) => publicKey.equals(p.remotePublicKey))
  return peer !== undefined && peer.remoteContiguousLength >= core.length
}

async function dht({ emit, flags, stopped }) {
  const node = new DHT({ ephemeral: false, firewalled: false, host: '127.0.0.1', port: flags.port ?? 0,
    bootstrap: bootstrapNodes(flags.bootstrap) ?? [] })
  await node.fullyBootstrapped()
  emit('ready', { host: '127.0.0.1', port: node.address().port })
  await stopped
  await node.destroy()
}

async function describe(drive) {
  const { key, core } = drive
  const { fork, length } = core
  const hash = await core.treeHash()
  const blobs = length > 0 || drive.blobs ? await drive.getBlobs() : null
  const link = (extra) => pearLink.serialize({ drive: { key, ...extra } })
  return {
    key: idEncoding.encode(key),
    link: link({}),
    verlink: link({ fork, length }),
    hashlink: link({ fork, length, hash }),
    length,
    fork,
    byteLength: core.byteLength,
    blobs: blobs && {
      key: idEncoding.encode(blobs.core.key), length: blobs.core.length, fork: blobs.core.fork,
      byteLength: blobs.core.byteLength, hash: idEncoding.encode(await blobs.core.treeHash())
    }
  }
}

const hasSecret = (drive) => !!drive.core.keyPair?.secretKey

function count(meter, bytes) {
  meter.totalBytes += bytes
  meter.totalBlocks++
}

const csv = (text) => (text ? text.split(',') : undefined)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
function noop() {}

const COMMANDS = { touch, stage, seed, info, dump, dht }

// One process owns a store. While `seed` runs, other commands send their words to it through a local
// socket and print what it answers, so that a stage reaches the connected peers at once.
const socketPath = (store) => path.join(store, 'owner.sock')

function serve(session, flags) {
  const file = socketPath(flags.store)
  fs.rmSync(file, { force: true })
  const server = net.createServer((socket) => {
    let text = ''
    socket.on('error', noop)
    socket.on('data', async (data) => {
      text += data
      if (!text.endsWith('\n')) return
      const { argv, cwd } = JSON.parse(text)
      text = ''
      const emit = (cmd) => (tag, data) => socket.write(JSON.stringify({ line: { cmd, tag, data } }) + '\n')
      const code = await perform(argv, emit, { session, cwd, stopped: new Promise(noop) })
      socket.end(JSON.stringify({ code }) + '\n')
    })
  })
  server.listen(file)
  return () => {
    server.close()
    fs.rmSync(file, { force: true })
  }
}

/** Resolves with the exit code, or with null when nobody owns the store. */
function handOver(store, argv) {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath(store))
    let rest = ''
    let code = 1
    socket.on('error', () => resolve(null))
    socket.on('connect', () => socket.write(JSON.stringify({ argv, cwd: process.cwd() }) + '\n'))
    socket.on('data', (data) => {
      const parts = (rest + data).split('\n')
      rest = parts.pop()
      for (const part of parts) {
        const message = JSON.parse(part)
        if (message.line) print(message.line)
        else code = message.code
      }
    })
    socket.on('close', () => resolve(code))
  })
}

function print(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

async function perform(argv, emitter, { session = null, cwd, stopped }) {
  let emit = emitter('bosc')
  let own = null
  let unserve = noop
  try {
    const { flags, words } = parseArgs(argv)
    const cmd = words.shift()
    if (!Object.hasOwn(COMMANDS, cmd)) throw new Failure('ERR_INVALID_INPUT', `Unrecognized command: ${cmd}`)
    emit = emitter(cmd)
    if (words[0] !== undefined && cmd !== 'touch' && cmd !== 'dht') parseLink(words[0])
    if (session === null && cmd !== 'dht') {
      session = own = new Session(flags)
      await own.store.ready()
      if (cmd === 'seed') unserve = serve(session, flags)
    }
    await COMMANDS[cmd]({ session, emit, words, flags, cwd, stopped })
    return 0
  } catch (err) {
    const code = typeof err.code === 'string' && err.code.startsWith('ERR_') ? err.code : 'ERR_UNKNOWN'
    emit('error', { success: false, code, message: err.message, hint: err.hint ?? null })
    return 1
  } finally {
    unserve()
    if (own) await own.close()
  }
}

async function main() {
  const argv = process.argv.slice(2)
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve)
  })
  const at = argv.indexOf('--store')
  const store = at === -1 ? null : argv[at + 1]
  if (store) {
    fs.mkdirSync(store, { recursive: true })
    if (fs.existsSync(socketPath(store))) {
      const code = await handOver(store, argv)
      if (code !== null) process.exit(code)
    }
  }
  const code = await perform(argv, (cmd) => (tag, data) => print({ cmd, tag, data }), { cwd: process.cwd(), stopped })
  process.exit(code)
}

main()

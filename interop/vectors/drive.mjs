// Writes drive.json: what hyperbee, hyperdrive, rabin-native and unix-path-resolve do for given input.
// Run with `node interop/vectors/drive.mjs`. The output is the same on every run.
import { createRequire } from 'node:module'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const require = createRequire(import.meta.url)
const Corestore = require('corestore')
const Hypercore = require('hypercore')
const Hyperbee = require('hyperbee')
const Hyperdrive = require('hyperdrive')
const crypto = require('hypercore-crypto')
const rabin = require('rabin-native')
const resolve = require('unix-path-resolve')

const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'vectors-'))

// A generator both languages have: 32-bit LCG, upper bits used.
class Lcg {
  constructor(state) {
    this.state = state >>> 0
  }
  next() {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return this.state >>> 8
  }
  below(n) {
    return this.next() % n
  }
}

function digest(blocks) {
  const parts = []
  for (const b of blocks) {
    const len = Buffer.alloc(4)
    len.writeUInt32LE(b.byteLength)
    parts.push(len, b)
  }
  return crypto.hash(parts).toString('hex')
}

async function blocksOf(core, from) {
  const out = []
  for (let i = from; i < core.length; i++) out.push(await core.get(i))
  return out
}

// Random operations: `keys` different keys, batches of up to `size` operations, `dels` in 100 are deletes.
async function beeCase({ seed, keys, size, dels, rounds }) {
  const core = new Hypercore(path.join(tmp, 'bee-' + seed))
  await core.ready()
  const bee = new Hyperbee(core)
  const rnd = new Lcg(seed)
  const batches = []
  for (let r = 0; r < rounds; r++) {
    const from = core.length
    const count = 1 + rnd.below(size)
    const b = bee.batch()
    for (let i = 0; i < count; i++) {
      const key = Buffer.from('key/' + rnd.below(keys))
      if (rnd.below(100) < dels) await b.del(key)
      else await b.put(key, Buffer.from('v' + rnd.below(1000)))
    }
    await b.flush()
    batches.push({ length: core.length, hash: digest(await blocksOf(core, from)) })
  }
  // Diffs between some versions: keys with + - ~.
  const diffs = []
  for (let i = 0; i < 6; i++) {
    const a = batches[rnd.below(batches.length)].length
    const b = batches[rnd.below(batches.length)].length
    const lines = []
    for await (const { left, right } of bee.checkout(Math.max(a, b)).createDiffStream(Math.min(a, b))) {
      const node = left || right
      lines.push((left ? (right ? '~' : '+') : '-') + node.key + ':' + (left ? left.seq : 0) + ':' + (right ? right.seq : 0))
    }
    diffs.push({ new: Math.max(a, b), old: Math.min(a, b), count: lines.length, hash: digest(lines.map((l) => Buffer.from(l))) })
  }
  const ranges = []
  for (let i = 0; i < 24; i++) {
    const version = batches[rnd.below(batches.length)].length
    const [lo, hi] = ['key/' + rnd.below(keys), 'key/' + rnd.below(keys)].sort()
    const opts = { reverse: rnd.below(2) === 1, limit: rnd.below(3) === 0 ? 1 + rnd.below(20) : -1 }
    opts[rnd.below(2) ? 'gt' : 'gte'] = Buffer.from(lo)
    opts[rnd.below(2) ? 'lt' : 'lte'] = Buffer.from(hi)
    const lines = []
    for await (const e of bee.checkout(version).createReadStream(opts)) lines.push(e.key + '=' + e.value + '@' + e.seq)
    ranges.push({
      version,
      gt: opts.gt ? opts.gt.toString() : null,
      gte: opts.gte ? opts.gte.toString() : null,
      lt: opts.lt ? opts.lt.toString() : null,
      lte: opts.lte ? opts.lte.toString() : null,
      reverse: opts.reverse,
      limit: opts.limit === -1 ? null : opts.limit,
      count: lines.length,
      hash: digest(lines.map((l) => Buffer.from(l)))
    })
  }
  await core.close()
  return { seed, keys, size, dels, rounds, batches, diffs, ranges }
}

function content({ kind, length, seed, flip }) {
  const buf = Buffer.alloc(length)
  if (kind === 'lcg') {
    let s = seed >>> 0
    for (let i = 0; i < length; i += 4) {
      s = (Math.imul(s, 1664525) + 1013904223) >>> 0
      if (i + 4 <= length) buf.writeUInt32LE(s, i)
      else for (let k = 0; i + k < length; k++) buf[i + k] = (s >>> (8 * k)) & 255
    }
  } else if (kind === 'repeat') {
    for (let i = 0; i < length; i++) buf[i] = (i % seed) & 255
  }
  if (flip !== undefined) buf[flip] ^= 1
  return buf
}

function chunks(data, slice, sizes) {
  const chunker = new rabin.Chunker(sizes)
  const out = []
  for (let i = 0; i < data.byteLength; i += slice) {
    for (const c of chunker.push(data.subarray(i, i + slice))) out.push(c.length)
  }
  const last = chunker.end()
  if (last) out.push(last.length)
  return out
}

async function driveCase() {
  const store = new Corestore(path.join(tmp, 'store'), { primaryKey: Buffer.alloc(32, 7), unsafe: true })
  const drive = new Hyperdrive(store)
  await drive.ready()
  const steps = []
  let at = [0, 0]
  const mark = async (name) => {
    const db = await blocksOf(drive.core, at[0])
    const blobs = await blocksOf(drive.blobs.core, at[1])
    at = [drive.core.length, drive.blobs.core.length]
    steps.push({
      name,
      db: db.map((b) => b.toString('hex')),
      blobs: blobs.map((b) => (b.byteLength > 4096 ? 'hash ' + crypto.hash(b).toString('hex') + ' ' + b.byteLength : b.toString('hex')))
    })
  }
  await drive.put('/hello.txt', Buffer.from('hello world'), { executable: true, metadata: { z: 1.5, 10: 'x', a: '\u0001"\u00e9' } })
  await mark('put')
  await drive.put('empty', Buffer.alloc(0))
  await mark('empty')
  await drive.put('/dir/big', content({ kind: 'lcg', length: 200000, seed: 5 }))
  await mark('big')
  await drive.symlink('/dir/link', '../hello.txt')
  await mark('symlink')
  await drive.del('/hello.txt')
  await mark('del')
  const b = drive.batch()
  for (let i = 0; i < 30; i++) await b.put('/many/' + i, Buffer.from('file ' + i))
  await b.del('/dir/link')
  await b.flush()
  await mark('batch')
  const readdir = {}
  for (const folder of ['/', '/dir', '/many', '/none']) {
    readdir[folder] = []
    for await (const name of drive.readdir(folder)) readdir[folder].push(name)
  }
  const list = []
  for await (const e of drive.list('/dir')) list.push(e.key)
  const blobsLength = await drive.getBlobsLength()
  await drive.close()
  return { steps, readdir, list, blobsLength }
}

const out = { bee: [], chunker: [], paths: [], drive: await driveCase() }

for (const c of [
  { seed: 1, keys: 50, size: 12, dels: 30, rounds: 200 },
  { seed: 2, keys: 400, size: 200, dels: 20, rounds: 25 },
  { seed: 3, keys: 5000, size: 1500, dels: 10, rounds: 8 },
  { seed: 4, keys: 300, size: 60, dels: 60, rounds: 100 },
  { seed: 5, keys: 20, size: 1, dels: 45, rounds: 300 },
  { seed: 6, keys: 2000, size: 3000, dels: 48, rounds: 6 }
]) {
  out.bee.push(await beeCase(c))
}

const big = { minSize: 512 * 1024, maxSize: 8 * 1024 * 1024 }
for (const [input, slice, sizes] of [
  [{ kind: 'lcg', length: 20 << 20, seed: 12345 }, 65536, big],
  [{ kind: 'lcg', length: 20 << 20, seed: 12345, flip: 10485760 }, 65536, big],
  [{ kind: 'zero', length: 3 << 20 }, 65536, big],
  [{ kind: 'repeat', length: 18 << 20, seed: 251 }, 65536, big],
  [{ kind: 'lcg', length: (2 << 20) + 3, seed: 99 }, 1 << 20, big],
  [{ kind: 'lcg', length: 512 * 1024, seed: 1 }, 65536, big],
  [{ kind: 'lcg', length: 10000, seed: 7 }, 1000, { minSize: 16, maxSize: 500 }],
  [{ kind: 'zero', length: 1000 }, 7, { minSize: 1, maxSize: 64 }],
  [{ kind: 'zero', length: 1000 }, 1000, { minSize: 63, maxSize: 70 }],
  [{ kind: 'zero', length: 1000 }, 1000, { minSize: 65, maxSize: 70 }],
  [{ kind: 'repeat', length: 300000, seed: 3 }, 4096, { minSize: 64, maxSize: 1000 }]
]) {
  out.chunker.push({ input, slice, sizes, chunks: chunks(content(input), slice, sizes) })
}

for (const name of ['a', '/a//b/./c/', 'a\\b\\..\\c', 'C:\\x\\y', 'C:/x', 'file:///x/y', 'pear://host/x/y', 'a:', '/a/b/../../c', '/\u00e9/\u00fc', '', '/', '..', '/../a', 'a/../..', '.', 'file:x', 'ab:/c/d/e', '...', ' a ', 'C:']) {
  let key = null
  try {
    key = resolve('/', name)
  } catch {}
  out.paths.push({ name, key })
}

fs.writeFileSync(new URL('drive.json', import.meta.url), JSON.stringify(out, null, 1) + '\n')
fs.rmSync(tmp, { recursive: true })
process.exit(0)

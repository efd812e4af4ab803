// Makes tree.json: what hypercore's merkle tree answers to many requests, with full and with sparse trees.
// Run with `node interop/vectors/tree.mjs`; the output does not change between runs.
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
const require = createRequire(import.meta.url)
const Hypercore = require('hypercore')
const crypto = require('hypercore-crypto')
const { MerkleTree, ReorgBatch } = require('hypercore/lib/merkle-tree.js')

// Numbers that look random and are the same in every run.
let state = 1
const random = (n) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return Math.floor((state / 4294967296) * n)
}

// A failed proof leaves the reads behind it failing with nobody waiting for them.
process.on('unhandledRejection', (err) => {
  if (err.code !== 'INVALID_OPERATION') throw err
})

const hex = (b) => Buffer.from(b).toString('hex')
const dir = mkdtempSync(join(tmpdir(), 'bosc-vectors-'))
const keyPair = crypto.keyPair(Buffer.alloc(32, 9))

async function makeCore(name, blocks, fork) {
  const core = new Hypercore(join(dir, name), { keyPair, compat: false })
  await core.ready()
  const heads = []
  if (fork) await core.append([Buffer.from('x')])
  if (fork) await core.truncate(0, fork)
  for (const b of blocks) {
    await core.append(b)
    heads.push({
      byteLength: core.byteLength,
      treeHash: hex(await core.treeHash()),
      signature: hex(core.core.state.signature)
    })
  }
  const nodes = new Map()
  for (let i = 0; i < 2 * blocks.length; i++) {
    const node = await MerkleTree.get(core.core.state, i)
    if (node) nodes.set(i, { index: i, size: node.size, hash: Buffer.from(node.hash) })
  }
  const out = { key: hex(core.key), fork: core.fork, heads, nodes }
  await core.close()
  return out
}

// The tree at `length` as merkle-tree.js sees it, with only the nodes in `have`.
function session(core, length, have) {
  const within = ([i]) => require('flat-tree').rightSpan(i) < 2 * length
  const nodes = new Map([...core.nodes].filter(within).filter(([i]) => have === null || have.has(i)))
  const roots = length === 0 ? [] : fullRoots(length).map((i) => core.nodes.get(i))
  for (const r of roots) nodes.set(r.index, r)
  const rx = {
    getTreeNode: async (i) => nodes.get(i) || null,
    hasTreeNode: async (i) => nodes.has(i),
    tryFlush() {},
    destroy() {}
  }
  return {
    fork: core.fork,
    roots,
    length,
    byteLength: roots.reduce((s, r) => s + r.size, 0),
    signature: length === 0 ? null : Buffer.from(core.heads[length - 1].signature, 'hex'),
    prologue: null,
    storage: { read: () => rx },
    rx
  }
}

function fullRoots(length) {
  return require('flat-tree').fullRoots(2 * length)
}

const indexes = (nodes) => nodes.map((n) => n.index)

async function prove(s, { block, hash, seek, upgrade }) {
  const req = {
    block: block && { index: block[0], nodes: block[1] },
    hash: hash && { index: hash[0], nodes: hash[1] },
    seek: seek && { bytes: seek[0], padding: seek[1] },
    upgrade: upgrade && { start: upgrade[0], length: upgrade[1] }
  }
  try {
    const p = await (await MerkleTree.proof(s, s.rx, req)).settle()
    return p
  } catch {
    return null
  }
}

function shape(p) {
  if (p === null) return 0
  return [
    p.block ? indexes(p.block.nodes) : null,
    p.hash ? indexes(p.hash.nodes) : null,
    p.seek ? indexes(p.seek.nodes) : null,
    p.upgrade
      ? [p.upgrade.start, p.upgrade.length, indexes(p.upgrade.nodes), indexes(p.upgrade.additionalNodes)]
      : null
  ]
}

function sparse(length) {
  if (random(2)) return null
  const have = new Set()
  // What a reader has that downloaded some blocks: leaves with their paths' siblings.
  for (let n = random(4); n > 0; n--) {
    const flat = require('flat-tree')
    const ite = flat.iterator(2 * random(length))
    have.add(ite.index)
    while (!fullRoots(length).includes(ite.index)) {
      have.add(ite.sibling())
      have.add(ite.parent())
    }
  }
  return have
}

const blocks = []
for (let i = 0; i < 35; i++) blocks.push(Buffer.alloc(1 + ((i * 37) % 23), i))
const core = await makeCore('main', blocks, 0)

// [length, have | 0, block | 0, hash | 0, seek | 0, upgrade | 0, result]
const proofs = []
async function add(length, have, req) {
  const s = session(core, length, have)
  const result = shape(await prove(s, req))
  proofs.push([
    length,
    have === null ? 0 : [...have].sort((a, b) => a - b),
    req.block || 0,
    req.hash || 0,
    req.seek || 0,
    req.upgrade || 0,
    result
  ])
}

for (let length = 1; length <= 6; length++) {
  for (let nodes = 0; nodes <= 3; nodes++) {
    for (let i = 0; i < length; i++) await add(length, null, { block: [i, nodes] })
    for (let i = 0; i < 2 * length; i++) await add(length, null, { hash: [i, nodes] })
  }
  for (let start = 0; start < length; start++) {
    for (let n = 1; n <= length - start; n++) {
      await add(length, null, { upgrade: [start, n] })
      for (let i = 0; i < length; i++) await add(length, null, { block: [i, 0], upgrade: [start, n] })
      for (let i = 1; i < 2 * length; i++) await add(length, null, { hash: [i, 0], upgrade: [start, n] })
      await add(length, null, { seek: [random(core.heads[length - 1].byteLength + 2), 0], upgrade: [start, n] })
    }
  }
}

for (let i = 0; i < 1200; i++) {
  const length = 1 + random(35)
  const have = sparse(length)
  const req = {}
  const what = random(4)
  if (what < 2) req.block = [random(length), random(6)]
  else if (what < 3) req.hash = [random(2 * length), random(6)]
  if (random(2)) {
    const bytes = random(core.heads[length - 1].byteLength + 5)
    req.seek = [bytes, random(6) === 0 ? 1 : 0]
  }
  if (random(2)) {
    const start = random(length)
    req.upgrade = [start, random(length - start + (random(10) === 0 ? 3 : 0)) + 1]
  }
  // Make most blocks and seeks hit.
  if (req.block && req.seek && random(2)) {
    const at = core.heads[req.block[0]].byteLength
    req.seek[0] = Math.max(0, at - random(9))
  }
  await add(length, have, req)
}

// Offsets, seeks, missing nodes in sparse trees.
// byteOffset is 'NaN' for blocks that are not below the first root: hypercore 11.37.1 adds numbers up as if they were
// nodes there (which also makes it leave seeks out of proofs of such blocks).
// [length, have | 0, block, byteOffset | null | 'NaN', missing, maxMissing, bytes, seek [index, offset] | [start, end] | null]
const queries = []
for (let i = 0; i < 400; i++) {
  const length = 1 + random(35)
  const have = sparse(length)
  const s = session(core, length, have)
  const block = random(length)
  const bytes = random(s.byteLength + 3)
  let offset = null
  try {
    offset = await MerkleTree.byteOffset(s, 2 * block)
    if (Number.isNaN(offset)) offset = 'NaN'
  } catch {}
  const missing = await MerkleTree.missingNodes(s, 2 * block, length)
  const max = MerkleTree.maxMissingNodes(2 * block, length)
  const seeker = MerkleTree.seek(s, bytes, 0)
  const found = await seeker.update()
  const seek = found ? { found } : { start: seeker.start, end: seeker.end }
  queries.push([length, have === null ? 0 : [...have].sort((a, b) => a - b), block, offset, missing, max, bytes, seek])
}

// Reorgs: a core of fork 3 that shares `shared` blocks with the first one, and what a reader of the first asks.
const reorgs = []
for (const [shared, length, oldLength, whole] of [
  [0, 1, 1, true], [0, 5, 7, true], [3, 9, 8, true], [4, 8, 8, true], [7, 7, 8, true], [5, 11, 6, true],
  [6, 20, 6, true], [8, 16, 16, true], [13, 14, 20, true], [19, 33, 34, true], [32, 33, 35, true], [16, 17, 35, false],
  [9, 31, 30, false], [1, 2, 35, false]
]) {
  const forked = blocks.slice(0, shared)
  while (forked.length < length) forked.push(Buffer.from('fork ' + forked.length))
  const other = await makeCore('fork-' + shared + '-' + length + '-' + oldLength, forked, 3)
  const have = whole ? null : new Set(fullRoots(oldLength))
  const mine = session(core, oldLength, have)
  const theirs = session(other, length, null)
  const first = await prove(theirs, { upgrade: [0, length] })
  const batch = new ReorgBatch(mine)
  await MerkleTree.reorg(mine, first, batch)
  const wants = []
  while (!batch.finished) {
    const { start, end, nodes } = batch.want
    const index = start + random(end - start)
    wants.push([start, end, nodes, index])
    const p = await prove(theirs, { hash: [2 * index, nodes] })
    await batch.update(p)
    if (wants.length > 100) throw new Error('no progress')
  }
  reorgs.push({
    shared,
    length,
    oldLength,
    whole,
    blocks: forked.slice(shared).map(hex),
    signature: other.heads[length - 1].signature,
    treeHash: other.heads[length - 1].treeHash,
    wants,
    ancestors: batch.ancestors
  })
}

rmSync(dir, { recursive: true, force: true })
const list = (rows) => '[\n' + rows.map((r) => JSON.stringify(r)).join(',\n') + '\n]'
writeFileSync(
  new URL('./tree.json', import.meta.url),
  `{"seed":"${'09'.repeat(32)}","key":"${core.key}","blocks":${JSON.stringify(blocks.map(hex))},\n` +
    `"heads":${list(core.heads)},\n"nodes":${list([...core.nodes.values()].map((n) => [n.index, n.size, hex(n.hash)]))},\n` +
    `"proofs":${list(proofs)},\n"queries":${list(queries)},\n"reorgs":${list(reorgs)}}\n`
)

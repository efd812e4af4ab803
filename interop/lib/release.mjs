// A release pipeline around a drive that a quorum signs: sources that go on from production, signers, seeders of both.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import Hypercore from 'hypercore'
import Hyperdrive from 'hyperdrive'
import HyperMultisig from 'hyper-multisig'
import Localdrive from 'localdrive'
import SignRequest from 'hypercore-signing-request'
import z32 from 'z32'
import { fixture } from './fixture.mjs'
import { JsPeer, waitFor, within } from './net.mjs'
import { Signer, commitJs, requestJs, PASSPHRASE } from './signing.mjs'
import { sampleApp, snapshot } from './tree.mjs'

const require = createRequire(import.meta.url)
const { getManifest } = require('hyper-multisig/lib/core.js')
const { signCore } = require('hyper-multisig/lib/sign.js')

/** A fixture with three signers of a link that has no release yet, and seeders that wait for one. */
export async function releaseFixture(t, { seeders = 2 } = {}) {
  const f = await fixture(t)
  return new Releases(f, seeders)
}

class Releases {
  constructor(f, seeders) {
    this.f = f
    this.dir = f.dir
    this.signers = [0, 1, 2].map((i) => new Signer(f.dir, i))
    this.targets = 0
    this.wantedSeeders = seeders
    this.targetSeeders = []
    this.sourceSeeders = []
    this.newTarget()
  }

  bosc(opts = {}) {
    this.last = this.f.bosc(opts)
    return this.last
  }

  js(opts) {
    return this.f.js(opts)
  }

  /** Another link of the same signers, without a release. */
  newTarget() {
    const namespace = `bosc/release${++this.targets}`
    this.config = { publicKeys: this.signers.map((s) => s.public), quorum: 2, namespace }
    this.configFile = this.writeConfig(this.config)
    this.manifest = getManifest(this.config.publicKeys, namespace, { quorum: 2 })
    this.key = Hypercore.key(this.manifest)
    this.targetKey = z32.encode(this.key)
    this.targetLink = `pear://${this.targetKey}`
    this.production = null
  }

  writeConfig(config) {
    const file = path.join(this.dir, `pear${config.namespace.replace(/\W/g, '-')}${config.publicKeys.length}${config.publicKeys[0].slice(0, 6)}.json`)
    fs.writeFileSync(file, JSON.stringify({ multisig: config }))
    return file
  }

  /** A new source drive: production's blocks as they are, then one batch that makes it equal to the tree. */
  async release(version, extra = {}) {
    const peer = this.js()
    const core = peer.store.get({ name: `source ${version} ${this.f.peers.length}` })
    await core.ready()
    const base = this.production
    // Opened while it is empty: only then its blobs core is stored with a manifest that others can get.
    const drive = await peer.drive(core.key)
    if (base) {
      for (let i = 0; i < base.length; i++) await core.append(await base.db.get(i))
      const blobs = (await drive.getBlobs()).core
      const from = (await base.drive.getBlobs()).core
      for (let i = 0; i < base.blobsLength; i++) await blobs.append(await from.get(i))
    }
    const dir = this.f.tree(sampleApp({ version, size: 300_000, upgrade: this.targetLink, extra }))
    const src = new Localdrive(dir, { followExternalLinks: true })
    await src.mirror(drive, { batch: true, prune: true }).done()
    const length = drive.core.length
    const link = `pear://${z32.encode(drive.key)}`
    return {
      version, peer, drive, dir, link, length, db: core,
      verlink: `pear://0.${length}.${z32.encode(drive.key)}`,
      hash: z32.encode(await drive.core.treeHash(length)),
      blobsLength: await drive.getBlobsLength(length),
      blobs: (await drive.getBlobs()).core
    }
  }

  /** The source is online, and others have all of it. */
  async seedSource(source, { seeders = 2 } = {}) {
    if (!source.joined) await source.peer.join(source.drive)
    source.joined = true
    source.copies ??= new Map()
    while (this.sourceSeeders.length < seeders) this.sourceSeeders.push(this.js())
    for (const peer of this.sourceSeeders.slice(0, seeders)) {
      if (!source.copies.has(peer)) {
        source.copies.set(peer, await peer.drive(source.link))
        await peer.join(source.copies.get(peer))
      }
      const copy = source.copies.get(peer)
      await waitFor(() => copy.core.length >= source.drive.core.length || copy.core.update(), { what: () => 'the source' })
      await hold(copy)
    }
  }

  /** Seeders of production that take whatever comes. */
  async startTargetSeeders(count = this.wantedSeeders) {
    this.targetSeeders = this.targetSeeders.filter((s) => s.key.equals(this.key))
    while (this.targetSeeders.length < count) {
      const seeder = new TargetSeeder(this)
      this.targetSeeders.push(seeder)
      await seeder.start()
    }
  }

  async stopTargetSeeders() {
    for (const s of this.targetSeeders.splice(0)) await s.close()
  }

  /** One seeder of production goes away as it is; `start` brings it back, as old as it was. */
  async freezeTarget() {
    const seeder = this.targetSeeders.pop()
    await waitFor(() => seeder.db.contiguousLength === this.production.length, { what: () => 'the copy that grows old' })
    await seeder.close()
    const { f, manifest } = this
    const { dir } = seeder
    return {
      async start() {
        const peer = f.js({ dir })
        const db = peer.store.get({ manifest })
        const blobs = peer.store.get({ manifest: Hyperdrive.getContentManifest(manifest, Hypercore.key(manifest)) })
        await Promise.all([db.ready(), blobs.ready()])
        assert.ok(db.length > 0)
        await peer.swarm.join(db.discoveryKey, { server: true, client: true }).flushed()
        return { peer, db, blobs }
      }
    }
  }

  async request(kind, source, { force = false, legacy = false, config = this.config } = {}) {
    if (kind === 'js') return requestJs(source.peer, config, source.drive, source.length, { force, legacy })
    const flags = [...(force ? ['--force'] : ['--wait', '20']), ...(legacy ? ['--legacy'] : [])]
    const file = this.writeConfig(config)
    const bosc = this.bosc()
    if (force && !source.joined) {
      source.joined = true
      await source.peer.join(source.drive)
    }
    const p = await bosc.ok('multisig', 'request', source.verlink, '--config', file, ...flags)
    return p.last('final').request
  }

  sign(kind, index, request, ...flags) {
    const signer = this.signers[index]
    if (kind === 'js') return signer.signJs(request)
    return signer.signBosc(this.f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } }), request, '--offline', '--blind', ...flags)
  }

  async signed(kind, source, by = [0, 1], ...flags) {
    const request = await this.request(kind, source)
    const all = []
    for (const i of by) all[i] = await this.sign(kind, i, request, ...flags)
    return { request, responses: by.slice(0, 2).map((i) => all[i]), all }
  }

  commitArgs(command, source, request, responses, ...flags) {
    return ['multisig', command, source.link, request, ...responses, '--config', this.configFile, ...flags]
  }

  async commit(kind, source, request, responses, { bosc = this.bosc() } = {}) {
    await this.startTargetSeeders()
    let result
    if (kind === 'js') {
      const peer = this.js()
      const target = peer.store.get({ manifest: this.manifest })
      await target.ready()
      await peer.swarm.join(target.discoveryKey, { client: true, server: true }).flushed()
      if (this.production) {
        await within(30_000, 'production', target.update({ wait: true }))
        await waitFor(() => target.length >= this.production.length, { what: () => 'production in JavaScript' })
      }
      const drive = await peer.drive(source.link)
      await peer.join(drive, { server: false })
      await peer.head(drive, { length: source.length })
      result = await within(60_000, 'a JavaScript commit',
        commitJs(peer, this.config, drive, request, responses, { first: !this.production }))
    } else {
      const first = this.production ? [] : ['--first-commit']
      result = await bosc.ok(...this.commitArgs('commit', source, request, responses, ...first))
      assert.equal(result.last('final').dstKey, this.targetKey)
      assert.equal(result.last('final').result.db.destCore.treeHash, source.hash)
    }
    this.production = source
    return result
  }

  async commitNew(kind, source, opts) {
    const { request, responses } = await this.signed(kind, source)
    return this.commit(kind, source, request, responses, opts)
  }

  /** Production as JavaScript leaves it that asks nobody. */
  async commitDirect(source) {
    await this.startTargetSeeders()
    const request = await requestJs(source.peer, this.config, source.drive, source.length, { force: true })
    const responses = [await this.signers[0].signJs(request), await this.signers[2].signJs(request)]
    const peer = this.js()
    const drive = await peer.drive(source.link)
    await peer.join(drive)
    await peer.head(drive, { length: source.length })
    await commitJs(peer, this.config, drive, request, responses, { first: true, force: true })
    this.production = source
    await this.taken(source)
  }

  /** The seeders have all of a release. */
  async taken(source) {
    const has = (s) => s.db.contiguousLength >= source.length && s.blobs.contiguousLength >= source.blobsLength
    await waitFor(() => this.targetSeeders.every(has), { what: () => 'seeders that have the release' })
  }

  /** Blobs are signed, db is not: what a JavaScript committer leaves that dies between the two. */
  async halfCommit(source, request, responses) {
    await this.startTargetSeeders()
    const peer = this.js()
    const multisig = new HyperMultisig(peer.store.session(), peer.swarm)
    const { publicKeys, namespace, quorum } = this.config
    const { core, blobsCore } = await multisig.createDrive(publicKeys, namespace, { quorum })
    await blobsCore.ready()
    await peer.swarm.join(core.discoveryKey, { client: true, server: true }).flushed()
    const drive = await peer.drive(source.link)
    await peer.join(drive)
    await peer.head(drive, { length: source.length })
    await drive.getBlobs()
    await waitFor(() => drive.blobs.core.length >= source.blobsLength, { what: () => 'blobs of the source' })
    const { content } = SignRequest.decode(z32.decode(request))
    const byKey = new Map(responses.map((r) => SignRequest.decodeResponse(z32.decode(r))).map((r) => [z32.encode(r.publicKey), r]))
    const signatures = publicKeys.map((k) => byKey.get(k)?.signatures[1])
    await signCore(blobsCore, drive.blobs.core, signatures, { length: content.length, commit: true })
    await waitFor(() => this.targetSeeders.every((s) => s.blobs.contiguousLength >= content.length), { what: () => 'half a release' })
    assert.equal(core.length, 0)
    await peer.close()
  }

  /** A stranger gets the release from the link: same heads, same files. */
  async assertProduction(source) {
    this.production = source
    const peer = this.js()
    const drive = await peer.drive(this.targetLink)
    await peer.join(drive, { server: false })
    await peer.head(drive, { length: source.length })
    await hold(drive)
    assert.equal(drive.core.length, source.length)
    assert.equal(z32.encode(await drive.core.treeHash()), source.hash)
    assert.equal(drive.blobs.core.length, source.blobsLength)
    assert.deepEqual(await drive.blobs.core.treeHash(), await source.blobs.treeHash(source.blobsLength))
    const out = this.f.fresh()
    await drive.mirror(new Localdrive(out)).done()
    assert.deepEqual(snapshot(out), snapshot(source.dir))
    await peer.close()
  }

  /** What hyper-multisig makes of a request and its responses, committed nowhere. */
  async verifyJs(source, request, responses) {
    const peer = this.js()
    const drive = await peer.drive(source.link)
    await peer.join(drive, { server: false })
    await peer.head(drive, { length: source.length })
    const done = await commitJs(peer, this.config, drive, request, responses, { dryRun: true, force: true })
    await peer.close()
    return done.result
  }
}

/** Takes everything of a drive, and what comes later. */
export async function hold(drive) {
  drive.core.download({ start: 0, end: -1 })
  await waitFor(() => drive.core.contiguousLength === drive.core.length && drive.core.length > 0, { what: () => 'the db' })
  const { core } = await within(30_000, 'the blobs core', drive.getBlobs())
  core.download({ start: 0, end: -1 })
  const length = await drive.getBlobsLength()
  const has = () => core.length >= length && core.contiguousLength >= length
  await waitFor(has, { what: () => `blobs ${core.contiguousLength} of ${length}` })
}

/** Keeps all of production, from before its first release on. */
class TargetSeeder {
  constructor(releases) {
    this.key = releases.key
    this.dir = releases.f.fresh('seeder')
    fs.mkdirSync(this.dir)
    this.peer = new JsPeer(releases.f.bootstrap, { dir: this.dir })
    releases.f.later(() => this.close())
    this.db = this.peer.store.get({ manifest: releases.manifest })
    this.blobs = this.peer.store.get({ manifest: Hyperdrive.getContentManifest(releases.manifest, releases.key) })
    this.closed = false
  }

  async start() {
    for (const core of [this.db, this.blobs]) {
      await core.ready()
      core.download({ start: 0, end: -1 })
    }
    await this.peer.swarm.join(this.db.discoveryKey, { server: true, client: true }).flushed()
  }

  async close() {
    if (this.closed) return
    this.closed = true
    await this.db.close()
    await this.blobs.close()
    await this.peer.close()
  }
}

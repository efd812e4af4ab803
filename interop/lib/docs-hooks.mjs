// Checks that pages name with <!-- test: NAME WORDS -->.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import Localdrive from 'localdrive'
import crypto from 'hypercore-crypto'
import z32 from 'z32'
import { parseConsole } from './docs-page.mjs'
import { Shell } from './docs-site.mjs'
import { JsPeer, parseLink, within } from './net.mjs'
import { CHEAP, fixedKey } from './signing.mjs'
import { removeDir, snapshot, tempDir } from './tree.mjs'

export const hooks = {
  /** `follower LINK machine:folder`: a stranger with JavaScript gets exactly this folder from the link. */
  async follower(site, variable, folder) {
    const link = site.vars[variable]
    assert.ok(link, `$${variable} is not known`)
    const at = parseLink(link)
    const peer = new JsPeer(site.bootstrap)
    const out = tempDir('follower')
    try {
      const drive = await peer.drive(link)
      await peer.join(drive, { server: false })
      await peer.head(drive, { length: at.length || 1, fork: at.fork ?? 0 })
      await peer.fetchAll(drive)
      if (at.hash) assert.equal(z32.encode(await drive.core.treeHash(at.length)), z32.encode(at.hash), 'tree hash')
      // Patches beside the builds are bosc's own, and no part of what was staged.
      const ignore = (key) => key.startsWith('/by-delta/')
      await within(60_000, 'mirror', drive.mirror(new Localdrive(out), { ignore }).done())
      assert.deepEqual(snapshot(out), snapshot(site.place(folder)), `what followers of ${link} get is ${folder}`)
    } finally {
      await peer.close()
      removeDir(out)
    }
  },

  /** `key bob carol`: each has a signing key that opens in no time; its public key is in $KEY_BOB, $KEY_CAROL. */
  key(site, ...names) {
    for (const name of names) {
      const machine = site.machine(name)
      const seed = randomBytes(32)
      const passphrase = machine.env(site).BOSC_PASSPHRASE
      const dir = path.join(machine.home, 'keys')
      fs.mkdirSync(dir, { recursive: true, mode: 0o700 })
      fs.writeFileSync(path.join(dir, 'default'), fixedKey({ seed, id: randomBytes(8), salt: randomBytes(32), passphrase, ...CHEAP }), { mode: 0o600 })
      const { publicKey } = crypto.keyPair(seed)
      fs.writeFileSync(path.join(dir, 'default.public'), publicKey)
      site.vars[`KEY_${name.toUpperCase()}`] = z32.encode(publicKey)
    }
  },

  /** `sign bob carol`: each signs $REQUEST, into $BOB and $CAROL. */
  async sign(site, ...names) {
    for (const name of names) {
      const [command] = parseConsole('sign', [`$ ${name.toUpperCase()}=$(bosc multisig sign $REQUEST --yes --offline --blind | tail -n 1)`], 1)
      await site.type(site.machine(name), command)
    }
  },

  /** `sametree A HASHLINK`: a stranger gets the head of link $A with the length, and the tree hash, that end $HASHLINK. */
  async sametree(site, variable, hashlink) {
    const [length, , hash] = site.vars[hashlink].split('.')
    const peer = new JsPeer(site.bootstrap)
    try {
      const drive = await peer.drive(site.vars[variable])
      await peer.join(drive, { server: false })
      await peer.head(drive, { length: Number(length) })
      assert.equal(drive.core.length, Number(length))
      assert.equal(z32.encode(await drive.core.treeHash()), hash)
    } finally {
      await peer.close()
    }
  },

  /** `upgrade A B`: who follows $A is told to go on to $B. */
  async upgrade(site, from, to) {
    const peer = new JsPeer(site.bootstrap)
    try {
      const drive = await peer.drive(site.vars[from])
      await peer.join(drive, { server: false })
      await peer.head(drive)
      const manifest = await within(30_000, 'package.json', drive.get('/package.json'))
      assert.equal(JSON.parse(manifest).upgrade, site.vars[to])
    } finally {
      await peer.close()
    }
  },

  /** `content A above N`, `content A below N`: bytes in the blobs core of $A, which names a version. */
  async content(site, variable, which, bytes) {
    const peer = new JsPeer(site.bootstrap)
    try {
      const link = site.vars[variable]
      const at = parseLink(link)
      assert.ok(at.length > 0, `$${variable} names a version`)
      const drive = await peer.drive(link)
      await peer.join(drive, { server: false })
      await peer.head(drive, { length: at.length, fork: at.fork ?? 0 })
      const blobs = await within(30_000, 'blobs', drive.getBlobs())
      // Whoever answers first may not have heard of this version yet: its files tell how long the blobs core is.
      let need = 0
      const entries = async () => {
        for await (const { value } of drive.list('/')) if (value.blob) need = Math.max(need, value.blob.blockOffset + value.blob.blockLength)
      }
      await within(30_000, 'the files', entries())
      await within(30_000, 'the blobs head', (async () => {
        while (blobs.core.length < need) {
          await blobs.core.update({ wait: true })
          if (blobs.core.length < need) await new Promise((resolve) => setTimeout(resolve, 50))
        }
      })())
      const is = `${blobs.core.byteLength} bytes`
      if (which === 'above') assert.ok(blobs.core.byteLength > Number(bytes), is)
      else assert.ok(blobs.core.length > 0 && blobs.core.byteLength < Number(bytes), is)
    } finally {
      await peer.close()
    }
  },

  /**
   * `workflow machine:file`: the workflow a page shows uses the action of this repository with inputs it has, and the action hands
   * to the recipe what the recipe reads. Then the action's own step runs on that machine, with the secret in $SECRET.
   */
  async workflow(site, place) {
    const read = (file) => fs.readFileSync(file, 'utf8')
    const action = read(new URL('../../.github/actions/publish/action.yml', import.meta.url))
    const recipe = read(new URL('../../docs/ci-publish.sh', import.meta.url))
    const inputs = [...action.split('outputs:')[0].matchAll(/^  ([a-z-]+):$/gm)].map((m) => m[1])
    const used = [...action.matchAll(/\$\{\{ inputs\.([a-z-]+) \}\}/g)].map((m) => m[1])
    assert.deepEqual([...new Set(used)].sort(), [...inputs].sort(), 'every input is used, and no other')
    const workflow = read(site.place(place))
    assert.match(workflow, /uses: bosc-project\/bosc\/\.github\/actions\/publish@/)
    const given = [...workflow.split('with:')[1].split('- run')[0].matchAll(/^ {10}([a-z-]+):/gm)].map((m) => m[1])
    assert.ok(given.length > 0 && given.every((g) => inputs.includes(g)), `inputs ${given}`)
    assert.match(action, /sh "\$GITHUB_ACTION_PATH\/\.\.\/\.\.\/\.\.\/docs\/ci-publish\.sh"/)
    const handed = [...action.matchAll(/^ {8}(PUBLISH_[A-Z_]+):/gm)].map((m) => m[1]).filter((n) => n !== 'PUBLISH_FOLDER')
    const reads = [...recipe.matchAll(/\$\{(PUBLISH_[A-Z_]+):-/g)].map((m) => m[1])
    assert.deepEqual(handed.sort(), [...new Set(reads)].sort(), 'what the action hands to the recipe')

    const machine = site.machine(place.split(':')[0])
    const defaults = [...action.split('outputs:')[0].matchAll(/^  ([a-z-]+):\n(?: {4}.*\n)*? {4}default: '?([^'\n]*)'?$/gm)]
    const values = Object.fromEntries(defaults.map((m) => [m[1], m[2]]))
    const lines = workflow.split('with:')[1].split('- run')[0].matchAll(/^ {10}([a-z-]+): (.*)$/gm)
    for (const [, name, value] of lines) values[name] = value
    Object.assign(values, { 'primary-key': site.vars.SECRET, bootstrap: machine.env(site).BOSC_BOOTSTRAP })
    const step = action.slice(action.indexOf('id: publish')).split('\n    - name')[0] + '\n'
    const env = { ...machine.env(site), GITHUB_OUTPUT: path.join(machine.home, 'output'), RUNNER_TEMP: machine.home }
    env.GITHUB_ACTION_PATH = fileURLToPath(new URL('../../.github/actions/publish', import.meta.url))
    for (const [, name, input] of step.matchAll(/^ {8}([A-Z_]+): \$\{\{ inputs\.([a-z-]+) \}\}$/gm)) env[name] = values[input]
    const script = step.split('run: |\n')[1].replace(/^ {8}/gm, '')
    const shell = new Shell('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], { env, cwd: machine.cwd })
    shell.child.stdin.end()
    await shell.until(() => false)
    await shell.end('SIGKILL')
    site.say(shell.output.replace(/^/gm, '    '))
    assert.equal(shell.code, 0, shell.output)
    assert.match(read(env.GITHUB_OUTPUT), /^verlink=pear:\/\/\d+\.\d+\.[a-z0-9]{52}$/m)
    assert.ok(!shell.output.includes(site.vars.SECRET), 'the secret is not in the log')
  },

  /** `secret machine:file`: nobody else on the machine can read it. */
  secret(site, place) {
    if (process.platform !== 'win32') assert.equal(fs.statSync(site.place(place)).mode & 0o077, 0)
  },

  /** `same A B`: two variables have the same value. */
  same(site, a, b) {
    assert.ok(site.vars[a], `$${a} is not known`)
    assert.equal(site.vars[a], site.vars[b], `$${a} and $${b}`)
  },

  /** `different A B` */
  different(site, a, b) {
    assert.ok(site.vars[a] && site.vars[b])
    assert.notEqual(site.vars[a], site.vars[b], `$${a} and $${b}`)
  },

  /** `folders A B`: two folders hold the same files. */
  folders(site, a, b) {
    assert.deepEqual(snapshot(site.place(a)), snapshot(site.place(b)))
  }
}

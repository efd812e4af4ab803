// Checks that pages name with <!-- test: NAME WORDS -->.
import assert from 'node:assert/strict'
import Localdrive from 'localdrive'
import z32 from 'z32'
import { JsPeer, parseLink, within } from './net.mjs'
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
      await within(60_000, 'mirror', drive.mirror(new Localdrive(out)).done())
      assert.deepEqual(snapshot(out), snapshot(site.place(folder)), `what followers of ${link} get is ${folder}`)
    } finally {
      await peer.close()
      removeDir(out)
    }
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

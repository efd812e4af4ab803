// Provisioning with the JavaScript packages alone, in the steps of Pear's own: production's blocks one by one, a
// mirror of the source's version in one batch without dedup, then the fields outside the file tree.
import { isDeepStrictEqual } from 'node:util'

const FIELDS = ['manifest', 'metadata', 'platformVersion']

/** All three are Hyperdrives with their blocks here. `production` may be null, `length` is the source's version. */
export async function jsProvision({ source, length, target, production = null }) {
  await target.ready()
  const blobs = await target.getBlobs()
  if (production && production.core.length > 0) {
    const from = await production.getBlobs()
    await copy(production.core, target.core)
    await copy(from.core, blobs.core)
  }
  const version = source.checkout(length)
  await version.ready()
  const diffs = []
  try {
    for await (const diff of version.mirror(target, { batch: true })) diffs.push(diff)
    for (const field of FIELDS) {
      const [wanted, there] = [await version.db.get(field), await target.db.get(field)]
      if (!wanted && there) await target.db.del(field)
      else if (wanted && !isDeepStrictEqual(wanted.value, there?.value)) await target.db.put(field, wanted.value)
    }
  } finally {
    await version.close()
  }
  return diffs
}

async function copy(from, to) {
  while (to.length < from.length) await to.append(await from.get(to.length))
}

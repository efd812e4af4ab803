// Deterministic folders and their comparison: what a stage must carry and a dump must give back.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createHash } from 'node:crypto'

/** A fresh temporary directory with a short path (unix sockets have a limit of about 100 bytes). */
export function tempDir(label = 't') {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), `bosc-${label}-`))
}

export function removeDir(dir) {
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
}

/** Pseudo-random bytes from a seed: xorshift32 words, incompressible enough to defeat any dedup. */
export function noise(seed, length) {
  const words = new Uint32Array(Math.ceil(length / 4))
  let s = (Math.imul(seed, 2654435761) ^ 0x9e3779b9) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    s ^= s << 13
    s >>>= 0
    s ^= s >>> 17
    s ^= s << 5
    s >>>= 0
    words[i] = s
  }
  return Buffer.from(words.buffer, 0, length)
}

/**
 * Writes a tree. `spec` maps a relative path to one of
 * a string or Buffer (a file), `{ data, mode }` (a file with a mode), `{ link }` (a symlink).
 */
export function writeTree(dir, spec) {
  for (const [name, item] of Object.entries(spec)) {
    const file = path.join(dir, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    if (typeof item === 'object' && item.link !== undefined) {
      fs.rmSync(file, { force: true })
      fs.symlinkSync(item.link, file)
      continue
    }
    const plain = typeof item === 'string' || Buffer.isBuffer(item)
    fs.writeFileSync(file, plain ? item : item.data)
    fs.chmodSync(file, plain ? 0o644 : (item.mode ?? 0o644))
  }
  return dir
}

/** A deployment directory that has one of everything a drive can hold. */
export function sampleApp({ version = '1.0.0', size = 3_500_000, upgrade = '', extra = {} } = {}) {
  return {
    'package.json':
      JSON.stringify({ name: 'demo', productName: 'Demo', version, upgrade, license: 'MIT' }, null, 2) + '\n',
    'CHANGELOG.md': `# Changelog\n\n## v${version}\n\n- version ${version}\n`,
    'by-arch/linux-x64/app/Demo': { data: noise(7, size), mode: 0o755 },
    'by-arch/linux-x64/app/lib/run.sh': { data: '#!/bin/sh\necho demo\n', mode: 0o755 },
    'by-arch/linux-x64/app/lib/current': { link: 'run.sh' },
    'by-arch/linux-x64/app/lib/up': { link: '../Demo' },
    'by-arch/linux-x64/app/data/empty': Buffer.alloc(0),
    'by-arch/linux-x64/app/data/one': Buffer.from([0]),
    'by-arch/linux-x64/app/data/block': noise(1, 65536),
    'by-arch/linux-x64/app/data/block+1': noise(2, 65537),
    'by-arch/linux-x64/app/data/naïve – ünïcode 漢字.txt': 'naïve\n',
    'by-arch/linux-x64/app/data/with space/.hidden': 'dot\n',
    ...extra
  }
}

/** path -> "kind hash exec|target" for every file and symlink below `dir`. Empty directories do not count. */
export function snapshot(dir) {
  const out = {}
  walk('')
  return out

  function walk(rel) {
    for (const e of fs.readdirSync(path.join(dir, rel), { withFileTypes: true })) {
      const name = rel ? `${rel}/${e.name}` : e.name
      const file = path.join(dir, name)
      if (e.isDirectory()) {
        walk(name)
      } else if (e.isSymbolicLink()) {
        out[name] = `link ${relativeTarget(file)}`
      } else {
        const exec = (fs.statSync(file).mode & 0o100) !== 0 ? 'x' : '-'
        const data = fs.readFileSync(file)
        out[name] = `file ${exec} ${data.length} ${createHash('sha256').update(data).digest('hex')}`
      }
    }
  }

  // A symlink may be written absolute or relative, as long as it points at the same place inside the tree.
  function relativeTarget(file) {
    const target = fs.readlinkSync(file)
    if (!path.isAbsolute(target)) return target
    const inside = path.relative(dir, target)
    return inside.startsWith('..') ? target : path.relative(path.dirname(file), target)
  }
}

/** Whether this is a patch that bosc keeps beside a file of a build (docs/formats.md). */
export const isDelta = (name) => /^by-delta\/.+\/[0-9a-f]{64}$/.test(name)

/** The same snapshot of a Hyperdrive, read through its public API (entry values and whole contents). Patches of files that are
    there are no part of what was staged. */
export async function driveSnapshot(drive) {
  const out = {}
  const patches = []
  for await (const entry of drive.list('/')) {
    const name = entry.key.slice(1)
    if (isDelta(name)) {
      patches.push(name)
      continue
    }
    const { linkname, executable, blob } = entry.value
    if (linkname) {
      out[name] = `link ${linkname}`
      continue
    }
    const hash = createHash('sha256')
    let size = 0
    if (blob) {
      for await (const chunk of drive.createReadStream(entry)) {
        hash.update(chunk)
        size += chunk.length
      }
    }
    out[name] = `file ${executable ? 'x' : '-'} ${size} ${hash.digest('hex')}`
  }
  for (const name of patches) {
    const file = name.slice(0, name.lastIndexOf('/')).replace(/^by-delta/, 'by-arch')
    if (!out[file]) throw new Error(`${name} leads to no file`)
  }
  return out
}

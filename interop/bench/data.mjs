// The data sets: big (incompressible), small (many files), app (real binaries), each with a second version.
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import { noise } from '../lib/tree.mjs'

const KIB = 1024
const MIB = 1024 * KIB

function write(dir, name, data, mode = 0o644) {
  const file = path.join(dir, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, data, { mode })
}

function manifest(dir, name, version) {
  write(dir, 'package.json', JSON.stringify({ name, productName: 'App', version, upgrade: '' }, null, 2) + '\n')
}

/** Inserts bytes in the middle of a file, as a rebuilt binary would have them. */
function insert(dir, name, bytes) {
  const file = path.join(dir, name)
  const data = fs.readFileSync(file)
  const middle = data.length >> 1
  fs.writeFileSync(file, Buffer.concat([data.subarray(0, middle), bytes, data.subarray(middle)]))
}

/** Bytes of real programs on this machine, at least `wanted` of them if there are so many. */
function realBytes(wanted) {
  const files = [process.execPath]
  try {
    const root = execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim()
    for (const dir of ['lib', 'bin']) files.push(...list(path.join(root, dir)))
  } catch {}
  for (const dir of ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib', '/usr/bin']) files.push(...list(dir))
  const parts = []
  let size = 0
  for (const file of files) {
    if (size >= wanted) break
    const data = fs.readFileSync(file)
    parts.push(data)
    size += data.length
  }
  if (size < wanted) parts.push(noise(3, wanted - size))
  return Buffer.concat(parts).subarray(0, wanted)
}

function list(dir) {
  let names = []
  try {
    names = fs.readdirSync(dir)
  } catch {
    return []
  }
  return names
    .map((n) => path.join(dir, n))
    .filter((f) => {
      const st = fs.statSync(f, { throwIfNoEntry: false })
      return st?.isFile() && st.size > 256 * KIB
    })
    .sort()
}

export const SETS = {
  big: {
    what: (q) => `8 x ${q ? 4 : 32} MiB incompressible`,
    make(dir, quick) {
      const size = (quick ? 4 : 32) * MIB
      for (let i = 0; i < 8; i++) write(dir, `by-arch/linux-x64/app/part-${i}.bin`, noise(i + 1, size))
      manifest(dir, 'big', '1.0.0')
    },
    second(dir) {
      insert(dir, 'by-arch/linux-x64/app/part-3.bin', noise(100, 100))
      manifest(dir, 'big', '1.0.1')
    }
  },
  small: {
    what: (q) => `${q ? 501 : 5001} files, ${q ? '4.2' : '42'} MB`,
    make(dir, quick) {
      const files = quick ? 500 : 5000
      // 1 to 16 KiB each, 8.4 KB in the mean.
      for (let i = 0; i < files; i++) {
        const size = 1 * KIB + ((i * 7919) % 14_960)
        write(dir, `by-arch/linux-x64/app/${i % 71}/${i % 7}/file-${i}.dat`, noise(i + 1000, size))
      }
      manifest(dir, 'small', '1.0.0')
    },
    second(dir) {
      for (let i = 0; i < 20; i++) {
        const n = i * 17
        write(dir, `by-arch/linux-x64/app/${n % 71}/${n % 7}/file-${n}.dat`, noise(i + 90_000, 8000))
      }
      for (let i = 0; i < 4; i++) write(dir, `by-arch/linux-x64/app/new/file-${i}.dat`, noise(i + 80_000, 8000))
      fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/1/1/file-1.dat'))
      manifest(dir, 'small', '1.0.1')
    }
  },
  app: {
    what: (q) => `${q ? '20 MB' : '150 MB'} of real binaries, 1,246 files, symlinks, exec bits`,
    make(dir, quick) {
      const unit = quick ? 6 * MIB : 50 * MIB
      const pool = realBytes(3 * unit)
      let at = unit
      const take = (n) => {
        if (at + n > pool.length) at = unit
        return pool.subarray(at, (at += n))
      }
      const root = 'by-arch/linux-x64/app/App'
      write(dir, `${root}/bin/app`, pool.subarray(0, unit), 0o755)
      // 16 libraries, 200 resources, 1,017 little files, 8 links, 3 texts: 1,246 with program and manifest.
      for (let i = 0; i < 16; i++) {
        write(dir, `${root}/lib/lib${i}.so.1`, take(Math.floor((unit * (1 + (i % 5) * 0.5)) / 22)), 0o755)
        if (i < 8) fs.symlinkSync(`lib${i}.so.1`, path.join(dir, root, `lib/lib${i}.so`))
      }
      for (let i = 0; i < 200; i++) write(dir, `${root}/share/res-${i}.pak`, take(Math.floor((unit * (1 + (i % 9))) / 3000)))
      for (let i = 0; i < 1017; i++) {
        write(dir, `${root}/share/locale/${i % 50}/text-${i}.mo`, take(512 + ((i * 613) % 7680)))
      }
      write(dir, `${root}/run.sh`, '#!/bin/sh\nexec "$(dirname "$0")/bin/app" "$@"\n', 0o755)
      write(dir, `${root}/README.txt`, 'version 1\n'.repeat(300))
      manifest(dir, 'app', '1.0.0')
      write(dir, 'CHANGELOG.md', '# Changelog\n\n## v1.0.0\n')
    },
    second(dir) {
      const root = 'by-arch/linux-x64/app/App'
      insert(dir, `${root}/bin/app`, noise(200, 100))
      write(dir, `${root}/README.txt`, 'version 2\n'.repeat(300))
      manifest(dir, 'app', '1.0.1')
    }
  }
}

/** Files, links and bytes below a folder. */
export function measureTree(dir) {
  const sum = { files: 0, bytes: 0 }
  for (const e of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, e.name)
    if (e.isDirectory()) {
      const inner = measureTree(file)
      sum.files += inner.files
      sum.bytes += inner.bytes
    } else {
      sum.files++
      if (e.isFile()) sum.bytes += fs.statSync(file).size
    }
  }
  return sum
}

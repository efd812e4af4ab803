#!/usr/bin/env node
// Patches between released programs: bsdiff, zstd --patch-from and bosc-delta in one run.
//
//   cargo build --release -p bosc-delta --all-features --example pair
//   node interop/bench/delta.mjs [--only esbuild,bare] [--out FILE] [--cache DIR] [--no-others] [--reuse]
//
// --reuse takes bsdiff's and zstd's figures of an earlier run on this machine.
// Programs come from npm, by name and version, and stay in target/delta-pairs. Needs bsdiff and zstd of the distribution and GNU time.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')

// Label, package, old, new, the program in it.
const PAIRS = [
  ['esbuild linux (Go)', '@esbuild/linux-x64', '0.28.1', '0.28.2', 'bin/esbuild'],
  ['sentry-cli linux (Rust)', '@sentry/cli-linux-x64', '3.6.2', '3.7.0', 'bin/sentry-cli'],
  ['bare linux (C++, V8)', 'bare-runtime-linux-x64', '1.30.2', '1.31.0', 'bin/bare'],
  ['next-swc linux (Rust)', '@next/swc-linux-x64-gnu', '16.4.5', '16.4.6', 'next-swc.linux-x64-gnu.node'],
  ['turbo linux (Rust)', '@turbo/linux-64', '2.8.16', '2.8.17', 'bin/turbo'],
  ['biome linux (Rust)', '@biomejs/cli-linux-x64', '2.6.7', '2.6.8', 'biome'],
  ['esbuild win32 PE', '@esbuild/win32-x64', '0.28.1', '0.28.2', 'esbuild.exe'],
  ['sentry-cli win32 PE', '@sentry/cli-win32-x64', '3.6.2', '3.7.0', 'bin/sentry-cli.exe'],
  ['esbuild darwin arm64', '@esbuild/darwin-arm64', '0.28.1', '0.28.2', 'bin/esbuild'],
  ['next-swc darwin arm64', '@next/swc-darwin-arm64', '16.4.5', '16.4.6', 'next-swc.darwin-arm64.node'],
  ['sentry-cli darwin (fat)', '@sentry/cli-darwin', '3.6.2', '3.7.0', 'bin/sentry-cli'],
  ['hop: sentry-cli', '@sentry/cli-linux-x64', '3.7.0', '3.8.0', 'bin/sentry-cli'],
  ['hop: bare', 'bare-runtime-linux-x64', '1.31.0', '1.33.4', 'bin/bare'],
  ['hop: esbuild', '@esbuild/linux-x64', '0.27.7', '0.28.2', 'bin/esbuild'],
  // Nothing was tuned on these.
  ['held back: swc linux (Rust)', '@swc/core-linux-x64-gnu', '1.16.21', '1.16.22', 'swc.linux-x64-gnu.node'],
  ['held back: rollup linux (Rust)', '@rollup/rollup-linux-x64-gnu', '4.68.7', '4.68.8', 'rollup.linux-x64-gnu.node'],
  ['held back: lightningcss linux (Rust)', 'lightningcss-linux-x64-gnu', '1.32.0', '1.33.0', 'lightningcss.linux-x64-gnu.node'],
  ['held back: swc darwin arm64', '@swc/core-darwin-arm64', '1.16.18', '1.16.22', 'swc.darwin-arm64.node']
]

const options = { only: null, out: null, cache: path.join(target, 'delta-pairs'), others: true, reuse: false }
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i]
  if (name === '--only') options.only = process.argv[++i].split(',')
  else if (name === '--out') options.out = process.argv[++i]
  else if (name === '--cache') options.cache = process.argv[++i]
  else if (name === '--reuse') options.reuse = true
  else if (name === '--no-others') options.others = false
  else throw new Error(`unknown option ${name}`)
}

/** The program of a package, from the cache or from npm. */
function program(name, version, file) {
  const folder = path.join(options.cache, `${name}-${version}`.replace(/[@/]/g, '_'))
  if (!fs.existsSync(folder)) {
    fs.mkdirSync(options.cache, { recursive: true })
    const packed = execFileSync('npm', ['pack', '--silent', `${name}@${version}`], { cwd: options.cache, encoding: 'utf8' })
    const tarball = path.join(options.cache, packed.trim().split('\n').pop())
    const unpacked = `${folder}.part`
    fs.mkdirSync(unpacked, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', unpacked])
    fs.rmSync(tarball)
    fs.renameSync(unpacked, folder)
  }
  const found = fs.readdirSync(folder).map((d) => path.join(folder, d, file)).find((p) => fs.existsSync(p))
  if (!found) throw new Error(`${name}@${version} holds no ${file}`)
  return found
}

/** Runs a program: seconds of wall and processor, and its peak memory in MiB. */
function timed(command, args) {
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', '%e %U %S %M', command, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
  const [wall, user, system, memory] = stderr.trim().split('\n').pop().split(' ').map(Number)
  return { wall, cpu: user + system, memory: Math.round(memory / 1024) }
}

const tool = process.env.BOSC_DELTA ?? path.join(target, 'release/examples/pair')
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'delta-'))
process.on('exit', () => fs.rmSync(work, { recursive: true, force: true }))
const at = (name) => path.join(work, name)

const TOOLS = {
  zstd: {
    make: (a, b, p) => timed('zstd', ['-q', '-f', '-19', '--long=31', `--patch-from=${a}`, b, '-o', p]),
    apply: (a, p, b) => timed('zstd', ['-q', '-f', '-d', '--long=31', `--patch-from=${a}`, p, '-o', b])
  },
  bsdiff: { make: (a, b, p) => timed('bsdiff', [a, b, p]), apply: (a, p, b) => timed('bspatch', [a, b, p]) },
  ours: { make: (a, b, p) => timed(tool, ['make', a, b, p]), apply: (a, p, b) => timed(tool, ['apply', a, p, b]) }
}

const lines = [
  '| pair | new file | zstd -19 --patch-from | bsdiff | ours | ours / bsdiff | make: s (CPU), MiB | apply: s (CPU), MiB |',
  '|---|---|---|---|---|---|---|---|'
]
const ratios = []
for (const [label, name, from, to, file] of PAIRS) {
  if (options.only && !options.only.some((o) => label.includes(o))) continue
  const [old, next] = [program(name, from, file), program(name, to, file)]
  const size = {}
  const cost = {}
  for (const [which, { make, apply }] of Object.entries(TOOLS)) {
    if (which !== 'ours' && !options.others) continue
    const known = path.join(options.cache, `${label.replace(/\W+/g, '-')}.${which}.json`)
    if (which !== 'ours' && options.reuse && fs.existsSync(known)) {
      const { size: bytes, made, applied } = JSON.parse(fs.readFileSync(known))
      size[which] = bytes
      cost[which] = { made, applied }
      continue
    }
    const patch = at(which)
    const made = make(old, next, patch)
    const applied = apply(old, patch, at('new'))
    if (!fs.readFileSync(at('new')).equals(fs.readFileSync(next))) throw new Error(`${which} of ${label} gives another file`)
    size[which] = fs.statSync(patch).size
    cost[which] = { made, applied }
    fs.writeFileSync(known, JSON.stringify({ size: size[which], made, applied }))
  }
  const { made, applied } = cost.ours
  const ratio = size.bsdiff ? size.ours / size.bsdiff : NaN
  if (size.bsdiff) ratios.push([label, ratio])
  const count = (n) => (n === undefined ? '-' : n.toLocaleString('en-US'))
  const spent = (c) => `${c.wall.toFixed(1)} (${c.cpu.toFixed(1)}), ${c.memory}`
  const line = [label, `${(fs.statSync(next).size / 1e6).toFixed(2)}M`, count(size.zstd), count(size.bsdiff), count(size.ours),
    Number.isNaN(ratio) ? '-' : ratio.toFixed(3), spent(made), spent(applied)]
  lines.push(`| ${line.join(' | ')} |`)
  console.error(lines.at(-1))
}
for (const [what, is] of [
  ['consecutive releases', (label) => !/^(hop|held back):/.test(label)],
  ['the pairs that were held back', (label) => label.startsWith('held back:')]
]) {
  const logs = ratios.filter(([label]) => is(label)).map(([, r]) => Math.log(r))
  if (!logs.length) continue
  const mean = Math.exp(logs.reduce((a, b) => a + b) / logs.length)
  lines.push('', `Geometric mean of ${what} against bsdiff: ${mean.toFixed(3)}`)
}
lines.push('', `${os.cpus().length} cores, ${os.cpus()[0].model.trim()}, load ${os.loadavg()[0].toFixed(1)}`)
console.log(lines.join('\n'))
if (options.out) fs.writeFileSync(options.out, lines.join('\n') + '\n')

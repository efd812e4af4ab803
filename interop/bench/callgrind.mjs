#!/usr/bin/env node
// How many instructions each function takes, by callgrind: the same on a machine that is busy as on one that is not. Time in
// the kernel (reading, writing, the network) is not in it; bench/profile.mjs has that.
//
//   BOSC=../target/release/bosc node bench/callgrind.mjs [--set big] [--full] [--out FILE] [--top 12] [--dir DIR]
//
// Stage, both ends of a sync, a dump of what is held, and an application that puts an update in its place. Small data unless
// `--full`; some 3 minutes. Needs valgrind.
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import { Running, boscCommand } from '../lib/bosc.mjs'
import { tempDir } from '../lib/tree.mjs'
import { SETS, measureTree } from './data.mjs'
import { Side } from './measure.mjs'
import { forHost, installedApp, network } from './runs.mjs'

const value = (name, other) => {
  const at = process.argv.indexOf(`--${name}`)
  return at > 0 ? process.argv[at + 1] : other
}
const set = value('set', 'big')
const quick = !process.argv.includes('--full')
const top = Number(value('top', 12))
const host = `${process.platform}-${process.arch}`
const LONG = { timeout: 1_800_000 }
const dir = value('dir', null)
const work = dir ? fs.mkdtempSync(path.join(path.resolve(dir), 'bosc-callgrind-')) : tempDir('callgrind')
const version = execFileSync('valgrind', ['--version'], { encoding: 'utf8' }).trim()
const parts = [`# Instructions by function: ${set}, ${SETS[set].what(quick)}\n\n` +
  `\`BOSC=../target/release/bosc node bench/callgrind.mjs${set === 'big' ? '' : ` --set ${set}`}${quick ? '' : ' --full'}\` in \`interop\`, ` +
  `${version} on ${host}. User code only; instructions, in millions, and their share.` +
  ' Valgrind offers no SHA instructions, so SHA-256 counts as plain code, and a `rep` instruction counts once a byte (`memset`).']
const data = (name) => path.join(work, `${name}.callgrind`)
const under = (name, ...more) =>
  new Side('bosc', ['valgrind', '-q', '--tool=callgrind', `--callgrind-out-file=${data(name)}`, ...more, ...boscCommand()])

function report(name, title, bytes) {
  const file = fs.existsSync(data(name)) ? data(name) : `${data(name)}.1`
  const text = execFileSync('callgrind_annotate', ['--threshold=100', file], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const total = Number(/^([\d,]+) .*PROGRAM TOTALS/m.exec(text)[1].replaceAll(',', ''))
  const lines = text.split('\n').slice(text.split('\n').findIndex((l) => /PROGRAM TOTALS/.test(l)) + 1)
  const found = lines.flatMap((line) => {
    const m = /^\s*([\d,]+) \(\s*([\d.]+)%\)\s+(?:\S*?:)?(.+?)(?: \[([^\]]*)\])?$/.exec(line)
    return m ? [{ count: Number(m[1].replaceAll(',', '')), where: m[3], object: path.basename(m[4] ?? '') }] : []
  })
  const short = (f) => {
    const plain = f.where.replace(/::h[0-9a-f]{16}$/, '').replace(/'\d+$/, '')
    const lib = /^(lib|ld-)/.test(f.object) ? `${f.object.replace(/\.so.*/, '')}: ` : ''
    return lib + (plain.length > 80 ? `${plain.slice(0, 77)}...` : plain)
  }
  const each = bytes ? `, ${(total / bytes).toFixed(2)} for a byte of content` : ''
  const table = found.slice(0, top).map((f) => `| ${(f.count / 1e6).toFixed(1)} | ${((f.count / total) * 100).toFixed(1)} % | \`${short(f)}\` |`)
  parts.push(`## ${title}: ${(total / 1e6).toFixed(0)} million${each}\n\n| million | share | function |\n| ---: | ---: | --- |\n${table.join('\n')}`)
  process.stdout.write(parts.at(-1) + '\n\n')
}

/** An application takes an update and puts it in its place; only the latter is counted. */
async function apply() {
  const author = new Side('bosc', boscCommand()).at(path.join(work, 'publisher'), net.bootstrap)
  const { watch, seeder } = await installedApp(author, work, net.bootstrap, quick)
  const p = new Running(watch, { command: under('apply', '--instr-atstart=no').command, stdin: 'pipe' })
  await p.untilLine('updated', () => true, LONG)
  execFileSync('callgrind_control', ['-i', 'on', String(p.pid)], { stdio: 'ignore' })
  p.child.stdin.write('apply\n')
  await p.untilLine('applied', () => true, LONG)
  p.child.stdin.write('quit\n')
  await p.exited
  report('apply', 'Apply of `app`')
  await seeder.stop()
}

const net = await network()
try {
  const tree = path.join(work, 'tree')
  SETS[set].make(tree, quick)
  forHost(tree)
  const { bytes } = measureTree(tree)
  const author = new Side('bosc', boscCommand()).at(path.join(work, 'author'), net.bootstrap)
  const { link } = await author.touch()
  await under('stage').at(author.store, net.bootstrap).ok('stage', link, tree)
  report('stage', 'Stage', bytes)

  const seeder = await under('seeder').at(author.store, net.bootstrap).seed(link, '--stats-interval', '1000')
  const other = under('download').at(path.join(work, 'other'), net.bootstrap)
  const p = other.start('seed', link, '--stats-interval', '100')
  await p.untilLine('stats', (s) => s.driveSynced && s.blobsSynced && s.blobsLength > 0, LONG)
  await p.stop()
  await seeder.stop()
  report('download', 'Sync, the downloader', bytes)
  report('seeder', 'Sync, the seeder', bytes)

  await under('dump').at(other.store, net.bootstrap).ok('dump', link, path.join(work, 'out'), '--timeout', '600')
  report('dump', 'Dump, everything held', bytes)
  await apply()
} finally {
  await net.close()
  fs.rmSync(work, { recursive: true, force: true })
}
const out = value('out', null)
if (out) fs.writeFileSync(out, parts.join('\n\n') + '\n')
process.exit(0)

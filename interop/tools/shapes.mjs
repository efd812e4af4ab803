// Adds the shapes of recorded lines to interop/shapes.json, which says of every line of every command what it looks
// like. With --new the file is made of the recorded lines alone.
//
//   BOSC_RECORD_LINES=/tmp/lines node --test test/my-feature.test.mjs
//   node tools/shapes.mjs /tmp/lines
//   git diff shapes.json      # what is new: added tags and fields, never changed ones
import fs from 'node:fs'
import path from 'node:path'
import { FILE, merge, shapeOfLine } from '../lib/shapes.mjs'

const places = process.argv.slice(2).filter((a) => a !== '--new')
if (places.length === 0) {
  console.error('usage: node tools/shapes.mjs [--new] DIR|FILE...')
  process.exit(2)
}
const shapes = process.argv.includes('--new') || !fs.existsSync(FILE) ? {} : JSON.parse(fs.readFileSync(FILE, 'utf8'))

let lines = 0
for (const place of places) {
  const files = fs.statSync(place).isDirectory() ? fs.readdirSync(place).map((f) => path.join(place, f)) : [place]
  for (const file of files.filter((f) => f.endsWith('.ndjson')).sort()) {
    for (const text of fs.readFileSync(file, 'utf8').split('\n')) {
      if (text === '') continue
      let record
      try {
        record = JSON.parse(text)
      } catch {
        console.error(`${file}: a line that was cut off is left out`)
        continue
      }
      const { line } = record
      shapes[line.cmd] ??= {}
      shapes[line.cmd][line.tag] = merge(shapes[line.cmd][line.tag] ?? [], [shapeOfLine(line)])
      lines++
    }
  }
}

const sorted = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
const compare = (a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

// One shape a line, so that a diff shows what was added.
const text = Object.entries(sorted(shapes)).map(([cmd, tags]) => {
  const inner = Object.entries(sorted(tags)).map(([tag, list]) => {
    const rows = [...list].sort(compare).map((shape) => `      ${JSON.stringify(shape)}`)
    return `    ${JSON.stringify(tag)}: [\n${rows.join(',\n')}\n    ]`
  })
  return `  ${JSON.stringify(cmd)}: {\n${inner.join(',\n')}\n  }`
})
fs.writeFileSync(FILE, `{\n${text.join(',\n')}\n}\n`)
const count = Object.values(shapes).reduce((n, tags) => n + Object.keys(tags).length, 0)
console.log(`${lines} lines; ${Object.keys(shapes).length} commands with ${count} tags`)

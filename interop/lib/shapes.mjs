// The shape of a line: what its data consists of, without the values. A shape is
//
//   "null" | "boolean" | "number" | "string"
//   {"key": [shapes], …}     an object with just these keys in this order
//   {"[]": [shapes]}         an array of these
//   {"{}": [shapes]}         an object whose keys are data: file names, platforms, …
//   "any"                    what somebody else wrote, told as it is (see FREE)
//
// and a list of shapes is what may stand at a place. The command `*` has what any command may tell, as the golden tests of
// bosc-release have it: how often and whether progress is told depends on the machine.
import fs from 'node:fs'

export const FILE = new URL('../shapes.json', import.meta.url)

/** Where the text of a package.json or a release.json, or a part of one, is told as it is: tag and field. */
const FREE = [
  ['manifest', 'manifest'],
  ['setting', 'value'],
  ['field-changed', 'before'],
  ['field-changed', 'after']
].map((place) => place.join(' '))

/** Fields whose keys are data even when they look like names. */
const MAPS = new Set(['platforms'])

const isName = (key) => /^[a-z][A-Za-z0-9_]*$/.test(key)

/** The shape of a value that stands at `place`, the field `field` of something. */
export function shapeOf(value, place = '', field = '') {
  if (FREE.includes(place)) return 'any'
  if (value === null) return 'null'
  if (Array.isArray(value)) return { '[]': value.reduce((all, v) => merge(all, [shapeOf(v, `${place} []`)]), []) }
  if (typeof value !== 'object') return typeof value
  const entries = Object.entries(value)
  if (MAPS.has(field) || entries.some(([key]) => !isName(key))) {
    return { '{}': entries.reduce((all, [, v]) => merge(all, [shapeOf(v, `${place} {}`)]), []) }
  }
  return Object.fromEntries(entries.map(([key, v]) => [key, [shapeOf(v, `${place} ${key}`, key)]]))
}

/** Two lists of shapes as one. Objects with the same keys in the same order are one shape, field by field. */
export function merge(a, b) {
  const out = [...a]
  for (const shape of b) {
    const at = out.findIndex((other) => sameKind(other, shape))
    if (at < 0) out.push(shape)
    else if (typeof shape === 'object') out[at] = mergeFields(out[at], shape)
  }
  return out
}

const keys = (shape) => Object.keys(shape).join()

function sameKind(a, b) {
  return typeof a === 'object' && typeof b === 'object' ? keys(a) === keys(b) : a === b
}

function mergeFields(a, b) {
  return Object.fromEntries(Object.keys(a).map((key) => [key, merge(a[key], b[key])]))
}

/** What of `shape` is in none of `known`; null when all of it is. */
export function difference(known, shape, path = 'data') {
  if (known.includes('any')) return null
  const same = known.find((other) => sameKind(other, shape))
  if (same === undefined) {
    return `${path} is ${JSON.stringify(shape)}, which is none of ${JSON.stringify(known)}`
  }
  if (typeof shape !== 'object') return null
  for (const key of Object.keys(shape)) {
    for (const part of shape[key]) {
      const found = difference(same[key], part, key === '[]' || key === '{}' ? `${path}${key}` : `${path}.${key}`)
      if (found) return found
    }
  }
  return null
}

/** The shape of a line's data. */
export function shapeOfLine(line) {
  return shapeOf(line.data, line.tag)
}

let recorded

/** What is wrong with a line's shape; null when it is one of those that are recorded. */
export function unknownShape(line) {
  recorded ??= JSON.parse(fs.readFileSync(FILE, 'utf8'))
  const known = merge(recorded[line.cmd]?.[line.tag] ?? [], recorded['*']?.[line.tag] ?? [])
  if (known.length === 0) return 'no such line is recorded'
  return difference(known, shapeOfLine(line))
}


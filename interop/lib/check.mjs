// Comparisons shared by the tests.
import assert from 'node:assert/strict'
import { describe, parseLink } from './net.mjs'
import { driveSnapshot, snapshot } from './tree.mjs'

/** What bosc printed of a drive must be what the JavaScript drive says of itself. */
export async function assertSameDrive(drive, printed) {
  const own = await describe(drive)
  for (const field of ['link', 'verlink', 'hashlink']) assert.equal(printed[field], own[field], field)
  assert.equal(drive.core.length, parseLink(printed.verlink).length)
  for (const field of ['key', 'length', 'fork', 'byteLength', 'hash']) {
    assert.equal(printed.blobs[field], own.blobs[field], `blobs.${field}`)
  }
}

/** The content of a JavaScript drive at db length `version` (head when 0) is `expected`. */
export async function assertContent(drive, version, expected) {
  const at = drive.checkout(version || drive.core.length)
  try {
    assert.deepEqual(await driveSnapshot(at), expected)
  } finally {
    await at.close()
  }
}

/** `bosc dump` of a link writes exactly `expected`. */
export async function assertDump(bosc, link, out, expected, ...flags) {
  await bosc.dump(link, out, ...flags)
  assert.deepEqual(snapshot(out), expected)
}

/** A failed command: exit code not 0, one JSON error line, nothing else but JSON on stdout. */
export function assertFailed(p, code) {
  assert.ok(p.code !== 0, `must fail\n${p.describe()}`)
  assert.equal(p.signal, null, `must not be killed\n${p.describe()}`)
  assert.ok(p.code > 0 && p.code < 100, `exit code of a reported failure, not of a crash\n${p.describe()}`)
  assert.deepEqual(p.noise, [], `plain text on stdout\n${p.describe()}`)
  const errors = p.lines.filter((l) => l.tag === 'error')
  assert.equal(errors.length, 1, `one error line\n${p.describe()}`)
  const { data } = errors[0]
  assert.equal(data.success, false)
  assert.equal(data.code, code, p.describe())
  assert.equal(typeof data.message, 'string')
  assert.ok(data.message.length > 0)
  assert.ok('hint' in data && (data.hint === null || typeof data.hint === 'string'))
  assert.doesNotMatch(p.stderr, /panicked|RUST_BACKTRACE/)
  assert.equal(p.all('final').some((d) => d.success === true), false)
}

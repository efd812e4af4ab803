// What operators say, in the bytes of docs/formats.md, made and read without a line of bosc.
import c from 'compact-encoding'
import crypto from 'hypercore-crypto'
import b4a from 'b4a'

const NAMESPACE = crypto.hash(b4a.from('bosc operator statement'))
const HALTS = { lifted: 1, halted: 2, recalled: 3 }

/** An operator of one link: says things, each with the next counter. */
export class Operator {
  constructor(linkKey, seed = 7) {
    this.link = linkKey
    this.keyPair = crypto.keyPair(b4a.alloc(32, seed))
    this.counter = 0
  }

  get key() {
    return b4a.toString(this.keyPair.publicKey, 'hex')
  }

  /** A signed statement. `versions`: `{ '1.0.1': { percent, halt } }`. */
  says({ newest = null, versions = {}, time = Math.floor(Date.now() / 1000), counter = ++this.counter } = {}) {
    const parts = [b4a.from([1]), this.link, c.encode(c.uint, counter), c.encode(c.uint, time)]
    if (newest) {
      parts.push(b4a.from([1]), c.encode(c.uint, newest.fork), c.encode(c.uint, newest.length), newest.treeHash)
    } else {
      parts.push(b4a.from([0]))
    }
    const names = Object.keys(versions).sort()
    parts.push(c.encode(c.uint, names.length))
    for (const name of names) {
      const { percent, halt } = versions[name]
      const share = percent === undefined ? 0 : percent * 100 + 1
      parts.push(c.encode(c.string, name), c.encode(c.uint, share), b4a.from([halt ? HALTS[halt] : 0]))
    }
    const body = b4a.concat(parts)
    const signature = crypto.sign(b4a.concat([NAMESPACE, body]), this.keyPair.secretKey)
    return b4a.concat([this.keyPair.publicKey, signature, body])
  }

  /** The same, put into the DHT under the operator's key. */
  async puts(dht, said) {
    const bytes = this.says(said)
    await dht.mutablePut(this.keyPair, bytes, { seq: this.counter })
    return bytes
  }
}

/** A file `bosc-statements`. */
export function encodeStatements(all) {
  const sorted = [...all].sort(b4a.compare)
  const body = b4a.concat([
    b4a.from('boscsays'),
    b4a.from([1]),
    c.encode(c.uint, sorted.length),
    ...sorted.map((one) => c.encode(c.buffer, one))
  ])
  return b4a.concat([body, crypto.hash(body)])
}

/** The statements in such a file. */
export function decodeStatements(bytes) {
  const body = bytes.subarray(0, bytes.length - 32)
  if (!b4a.equals(crypto.hash(body), bytes.subarray(bytes.length - 32))) throw new Error('the sum is wrong')
  if (b4a.toString(body.subarray(0, 8)) !== 'boscsays' || body[8] !== 1) throw new Error('something else')
  const state = { start: 9, end: body.length, buffer: body }
  const all = []
  for (let n = c.uint.decode(state); n > 0; n--) all.push(c.buffer.decode(state))
  if (state.start !== state.end) throw new Error('bytes are left')
  return all
}

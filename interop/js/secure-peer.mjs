// A JavaScript peer for crates/bosc-wire/tests/interop_js.rs: TCP servers on loopback that speak
// @hyperswarm/secret-stream and protomux. Prints one line of JSON with a port for each role and pattern, then
// serves until its standard input ends.
//
// Run as `node secure-peer.mjs <node_modules folder>`.
import net from 'node:net'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const require = createRequire(resolve(process.argv[2], 'package.json'))
const SecretStream = require('@hyperswarm/secret-stream')
const Protomux = require('protomux')
const c = require('compact-encoding')
const sodium = require('sodium-universal')

const keyPair = SecretStream.keyPair(Buffer.alloc(32, 2))
const rustKey = SecretStream.keyPair(Buffer.alloc(32, 1)).publicKey

function hash (b) {
  const out = Buffer.alloc(32)
  sodium.crypto_generichash(out, b)
  return out
}

function serve (socket, initiator, pattern) {
  socket.setNoDelay(true)
  const stream = new SecretStream(initiator, socket, {
    pattern,
    keyPair,
    remotePublicKey: initiator && pattern === 'IK' ? rustKey : null,
    keepAlive: 50
  })
  stream.on('error', (err) => console.error('stream:', err.message))
  const mux = new Protomux(stream)
  mux.pair({ protocol: 'echo' }, (id) => echo(id))

  const ours = mux.createChannel({
    protocol: 'from javascript',
    id: Buffer.alloc(32, 9),
    handshake: c.string,
    messages: [{ encoding: c.string, onmessage: (m) => ours.messages[0].send(m.toUpperCase()) }],
    onopen: (h) => ours.messages[0].send('opened with ' + h)
  })
  ours.open('javascript says hello')

  function echo (id) {
    let count = 0
    const ch = mux.createChannel({
      protocol: 'echo',
      id,
      handshake: c.string,
      messages: [
        // 0: the same bytes come back
        { encoding: c.raw, onmessage: (m) => { count++; ch.messages[0].send(m) } },
        // 1: their hash comes back
        { encoding: c.raw, onmessage: (m) => { count++; ch.messages[1].send(hash(m)) } },
        // 2: so many messages, in one batch, alternating with the other channel
        {
          encoding: c.uint,
          onmessage: (n) => {
            count++
            ch.cork()
            for (let i = 0; i < n; i++) {
              ch.messages[2].send(i)
              if (ours.opened) ours.messages[0].send('batch ' + i)
            }
            ch.uncork()
          }
        },
        // 3: how many messages came
        { encoding: c.uint, onmessage: () => ch.messages[3].send(count) },
        // 4: close
        { encoding: c.none, onmessage: () => ch.close() }
      ],
      onclose: (remote) => { if (remote && ours.opened) ours.messages[0].send('echo closed ' + id.toString('hex')) }
    })
    if (ch) ch.open('echo ' + id.toString('hex'))
  }
}

const ports = {}
for (const initiator of [true, false]) {
  for (const pattern of ['XX', 'IK']) {
    const server = net.createServer((socket) => serve(socket, initiator, pattern))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    ports[`${initiator ? 'initiator' : 'responder'}-${pattern}`] = server.address().port
  }
}
console.log(JSON.stringify(ports))
process.stdin.on('end', () => process.exit(0)).resume()

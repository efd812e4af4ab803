// A relay of npm blind-relay: `blind-relay.mjs BOOTSTRAP`. Prints its key when it can be found, and its counters at each line on stdin.
import readline from 'node:readline'
import { Server } from 'blind-relay'
import DHT from 'hyperdht'
import idEncoding from 'hypercore-id-encoding'

const [host, port] = process.argv[2].split(':')
const dht = new DHT({ bootstrap: [{ host, port: Number(port) }] })
const relay = new Server({ createStream: (opts) => dht.createRawStream({ ...opts, framed: true }) })
const server = dht.createServer((socket) => {
  socket.on('error', () => {})
  relay.accept(socket, { id: socket.remotePublicKey }).on('error', () => {})
})
await server.listen()
console.log(idEncoding.encode(server.publicKey))
for await (const _ of readline.createInterface({ input: process.stdin })) console.log(JSON.stringify(relay.stats))

// Real hyperdht nodes that listen and connect, told what to do by lines of JSON on stdin; one line of JSON on
// stdout answers each. Commands: testnet {size}, node {bootstrap:[port,..], closed}, listen {node, seed},
// connect {node, key, seed, bytes}, close {node}. Nodes are numbered from 0. Listening nodes send back what they
// get. BOSC_INTEROP_NODE_MODULES is the node_modules folder to take hyperdht from.
import { createRequire } from 'node:module'
import path from 'node:path'
import readline from 'node:readline'

const require = createRequire(path.join(path.resolve(process.env.BOSC_INTEROP_NODE_MODULES), 'any.js'))
const DHT = require('hyperdht')
const createTestnet = require('hyperdht/testnet')

const nodes = []
const seen = []

function pattern (n) {
  const out = Buffer.alloc(n)
  for (let i = 0; i < n; i++) out[i] = (i * 31 + (i >> 9)) & 255
  return out
}

const commands = {
  async testnet ({ size }) {
    const testnet = await createTestnet(size)
    return { bootstrap: testnet.bootstrap[0].port }
  },
  async node ({ bootstrap, closed }) {
    const dht = new DHT({
      bootstrap: bootstrap.map((port) => ({ host: '127.0.0.1', port })),
      host: '127.0.0.1',
      ephemeral: true,
      firewalled: closed,
      quickFirewall: false
    })
    nodes.push(dht)
    await dht.fullyBootstrapped()
    return { open: !!dht.remoteAddress() }
  },
  async listen ({ node, seed }) {
    const server = nodes[node].createServer((socket) => {
      seen.push(socket.remotePublicKey.toString('hex'))
      socket.on('error', () => {})
      socket.on('end', () => socket.end())
      socket.on('data', (data) => socket.write(data))
    })
    const keyPair = DHT.keyPair(Buffer.from(seed, 'hex'))
    await server.listen(keyPair)
    return { key: keyPair.publicKey.toString('hex') }
  },
  async connect ({ node, key, seed, bytes }) {
    const began = Date.now()
    const socket = nodes[node].connect(Buffer.from(key, 'hex'), { keyPair: DHT.keyPair(Buffer.from(seed, 'hex')) })
    const wanted = pattern(bytes)
    return await new Promise((resolve) => {
      const got = []
      let n = 0
      let opened = null
      const timer = setTimeout(() => socket.destroy(new Error('took too long')), 20000)
      socket.on('open', () => {
        opened = Date.now() - began
        for (let i = 0; i < bytes; i += 50000) socket.write(wanted.subarray(i, i + 50000))
      })
      socket.on('data', (data) => {
        got.push(data)
        n += data.byteLength
        if (n >= bytes) socket.end()
      })
      socket.on('error', (err) => { clearTimeout(timer); resolve({ failed: err.code || err.message }) })
      socket.on('close', () => {
        clearTimeout(timer)
        resolve({
          same: Buffer.concat(got).equals(wanted),
          opened,
          port: socket.rawStream && socket.rawStream.remotePort,
          remote: socket.remotePublicKey.toString('hex')
        })
      })
    })
  },
  async seen () {
    return { seen }
  },
  async close ({ node }) {
    await nodes[node].destroy()
    return {}
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  let answer
  try {
    answer = await commands[command.do](command)
  } catch (err) {
    answer = { error: String(err.stack || err) }
  }
  console.log(JSON.stringify(answer))
}
process.exit(0)

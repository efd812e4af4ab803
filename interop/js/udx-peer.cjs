// A UDX peer made of the real udx-native, driven by bosc-udx's interop tests.
//
// node udx-peer.cjs <node_modules> <mode> <bytes> <our id> <their id> <their port>
//
// Binds a socket on 127.0.0.1, prints {"port"} as one JSON line, connects, does what the mode says, prints a second
// line when the stream has closed. Bytes follow the pattern below in both directions.
'use strict'

const path = require('path')
const [modules, mode, bytesText, localText, remoteText, portText] = process.argv.slice(2)
const UDX = require(path.join(path.resolve(modules), 'udx-native'))

const total = Number(bytesText)
const PATTERN = 65537
const block = pattern()

const udx = new UDX()
const socket = udx.createSocket()
socket.bind(0, '127.0.0.1')
const second = udx.createSocket()
second.bind(0, '127.0.0.1')

const stream = udx.createStream(Number(localText), { firewall: () => false })
const report = { mode, received: 0, correct: true, error: null, messages: 0, remoteChanged: false }
let started = 0
let finished = 0

console.log(JSON.stringify({ port: socket.address().port, second: second.address().port }))
stream.connect(socket, Number(remoteText), Number(portText), '127.0.0.1')

stream.on('error', (err) => { report.error = err.code || err.message })
stream.on('close', async () => {
  report.seconds = (finished - started) / 1000
  report.packetsTransmitted = report.packetsTransmitted || socket.packetsTransmitted
  report.packetsReceived = socket.packetsReceived
  report.bytesTransmitted = socket.bytesTransmitted
  await socket.close()
  await second.close()
  console.log(JSON.stringify(report))
})

const modes = {
  // Reads everything, then ends.
  sink () {
    read(() => stream.end())
  },
  // Writes everything, ends, reads until the other ends.
  source () {
    read(() => {})
    write(() => stream.end())
  },
  // Both at once.
  both () {
    read(() => {})
    write(() => stream.end())
  },
  // Sends heartbeats until it is destroyed.
  idle () {
    stream.setKeepalive(100)
    read(() => {})
    stream.write('x')
  },
  // Destroys the stream once it has read something.
  destroy () {
    stream.once('data', () => stream.destroy())
  },
  // Sends messages back doubled.
  messages () {
    read(() => stream.end())
    stream.on('message', (message) => {
      report.messages++
      stream.trySend(Buffer.concat([message, message]))
    })
  },
  // Moves to another socket in the middle.
  move () {
    read(() => {})
    write(() => stream.end())
    setTimeout(async () => {
      await stream.changeRemote(second, Number(remoteText), Number(portText), '127.0.0.1')
      report.remoteChanged = true
    }, 50)
  }
}
modes[mode]()

function read (onend) {
  stream.on('data', (data) => {
    if (started === 0) started = Date.now()
    check(data)
    if (report.received >= total) finished = Date.now()
  })
  stream.on('end', () => {
    note()
    onend()
  })
}

function write (done) {
  let sent = 0
  const next = () => {
    if (started === 0) started = Date.now()
    while (sent < total) {
      const at = sent % PATTERN
      const n = Math.min(PATTERN - at, total - sent)
      sent += n
      if (!stream.write(block.subarray(at, at + n))) {
        stream.once('drain', next)
        return
      }
    }
    done()
    stream.on('finish', () => { finished = Date.now(); note() })
  }
  next()
}

function note () {
  report.packetsTransmitted = stream.packetsTransmitted
  report.retransmits = stream.retransmits
  report.rtoCount = stream.rtoCount
  report.fastRecoveries = stream.fastRecoveries
  report.mtu = stream.mtu
  report.rtt = stream.rtt
}

function check (data) {
  let at = report.received % PATTERN
  let from = 0
  while (from < data.length) {
    const n = Math.min(PATTERN - at, data.length - from)
    if (data.compare(block, at, at + n, from, from + n) !== 0) report.correct = false
    from += n
    at = 0
  }
  report.received += data.length
}

// The same in Rust: tests/common/driver.rs.
function pattern () {
  const out = Buffer.alloc(PATTERN)
  let x = 1
  for (let i = 0; i < PATTERN; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    out[i] = x >>> 24
  }
  return out
}

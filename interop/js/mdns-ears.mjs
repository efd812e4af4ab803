// Hears and speaks multicast DNS: `mdns-ears.mjs ADDRESS`. Prints a line of JSON for each packet (`from` and `bytes` in hex); sends to the group
// what lines on stdin say (`bytes`, `times`).
import dgram from 'node:dgram'
import readline from 'node:readline'

const GROUP = '224.0.0.251'
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true })
socket.on('message', (bytes, { address }) => {
  if (address !== process.argv[2]) console.log(JSON.stringify({ from: address, bytes: bytes.toString('hex') }))
})
socket.bind(5353, '0.0.0.0', () => {
  socket.addMembership(GROUP, process.argv[2])
  socket.setMulticastInterface(process.argv[2])
  console.log(JSON.stringify({ ready: true }))
})
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { bytes, times } = JSON.parse(line)
  const packet = Buffer.from(bytes, 'hex')
  for (let n = 0; n < times; n++) await new Promise((resolve) => socket.send(packet, 5353, GROUP, resolve))
}

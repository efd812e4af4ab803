// A router's NAT-PMP (RFC 6886): `nat-pmp.mjs ADDRESS EXTERNAL-ADDRESS MODE`, in the namespace of the router's box. MODE:
//   true    maps what it is asked for
//   liar    says that it does, and maps nothing
//   elsewhere   says that its address is another one
// Prints a line for each request.
import dgram from 'node:dgram'
import { execFileSync } from 'node:child_process'

const [address, external, mode] = process.argv.slice(2)
const nft = (rules) => execFileSync('nft', ['-f', '-'], { input: rules })
nft('table ip pmp { chain pre { type nat hook prerouting priority dstnat; }; }')
const octets = (ip) => ip.split('.').map(Number)
const socket = dgram.createSocket('udp4')
socket.on('message', (m, from) => {
  if (m[0] !== 0) return socket.send(Buffer.from([0, m[1] | 0x80, 0, 1, 0, 0, 0, 0]), from.port, from.address)
  if (m[1] === 0) {
    const ip = mode === 'elsewhere' ? [5, 9, 0, 250] : octets(external)
    console.log(JSON.stringify({ asked: 'address' }))
    return socket.send(Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, ...ip]), from.port, from.address)
  }
  const [inside, wanted, lease] = [m.readUInt16BE(4), m.readUInt16BE(6), m.readUInt32BE(8)]
  console.log(JSON.stringify({ asked: 'port', inside, wanted, lease }))
  if (mode === 'true') {
    nft('flush chain ip pmp pre')
    if (lease > 0) nft(`table ip pmp { chain pre { iifname "wan" udp dport ${wanted} dnat to ${from.address}:${inside}; }; }`)
  }
  const answer = Buffer.alloc(16)
  answer[1] = 129
  answer.writeUInt16BE(inside, 8)
  answer.writeUInt16BE(wanted, 10)
  answer.writeUInt32BE(lease, 12)
  socket.send(answer, from.port, from.address)
})
socket.bind(5351, address, () => console.log(JSON.stringify({ ready: true })))

// A router's UPnP that does not mean well: `igd-liar.mjs ADDRESS MODE`, in the namespace of the router's box. It answers the search, then
//   huge       a description without end
//   slow       one byte at a time
//   elsewhere  names another host for its description
//   redirect   sends whoever asks for its description to another host
//   control    names another host for its commands
// Prints a line for each request; `other` for one that reached the other host, 127.0.0.1 of the box and 5.9.0.250 as it may be.
import dgram from 'node:dgram'
import http from 'node:http'

const [address, mode] = process.argv.slice(2)
const say = (value) => console.log(JSON.stringify(value))
const ssdp = dgram.createSocket({ type: 'udp4', reuseAddr: true })
ssdp.on('message', (m, from) => {
  const search = /^ST: (.*)\r$/m.exec(String(m))?.[1]
  if (!search) return
  say({ asked: 'search' })
  const host = mode === 'elsewhere' ? '192.168.255.1' : address
  const text = `HTTP/1.1 200 OK\r\nST: ${search}\r\nLOCATION: http://${host}:5000/root.xml\r\n\r\n`
  ssdp.send(text, from.port, from.address)
})
ssdp.bind(1900, '0.0.0.0', () => ssdp.addMembership('239.255.255.250', address))
const server = http.createServer((request, response) => {
  say({ asked: request.url })
  if (mode === 'redirect') return response.writeHead(302, { Location: `http://${address}:5001/root.xml` }).end()
  if (mode === 'control') {
    const at = `http://${address}:5001/control`
    return response.end(`<root><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>${at}</controlURL></service></root>`)
  }
  const piece = '<service><serviceType>x</serviceType>'.repeat(mode === 'slow' ? 1 : 2000)
  const more = () => response.write(mode === 'slow' ? '<' : piece)
  more()
  const timer = setInterval(more, mode === 'slow' ? 100 : 1)
  response.on('close', () => {
    clearInterval(timer)
    say({ closed: request.url, sent: request.socket.bytesWritten })
  })
})
server.listen(5000, address, () => {
  http.createServer((request, response) => {
    say({ other: request.url })
    response.end()
  }).listen(5001, address, () => say({ ready: true }))
})

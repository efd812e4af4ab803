// Plain TCP, to compare with: `tcp-peer.mjs serve HOST PORT` sends as many bytes as it is asked for, then ends; `tcp-peer.mjs get HOST
// PORT BYTES` prints the milliseconds from the attempt to connect to the last byte. Which congestion control sends, the system says.
import { once } from 'node:events'
import net from 'node:net'

const [mode, host, port, bytes] = process.argv.slice(2)
if (mode === 'serve') {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (wanted) => socket.end(Buffer.alloc(Number(String(wanted)))))
  })
  server.listen(Number(port), host, () => console.log('listening'))
} else {
  const start = performance.now()
  const socket = net.connect(Number(port), host)
  socket.write(bytes)
  let got = 0
  socket.on('data', (data) => { got += data.length })
  await once(socket, 'end')
  if (got !== Number(bytes)) throw new Error(`${got} of ${bytes} bytes`)
  console.log(performance.now() - start)
  process.exit(0)
}

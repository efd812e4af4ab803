// Seeds a JavaScript drive and appends to it on demand: the sender of the latency measurement.
// argv: store directory, bootstrap host:port. Each line on stdin makes one append; its time goes to stdout.
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import Hyperswarm from 'hyperswarm'
import idEncoding from 'hypercore-id-encoding'

const [dir, bootstrap] = process.argv.slice(2)
const [host, port] = bootstrap.split(':')
const store = new Corestore(dir)
const drive = new Hyperdrive(store)
await drive.ready()
await drive.put('/package.json', Buffer.from('{"name":"latency","version":"1.0.0"}'))
const swarm = new Hyperswarm({ bootstrap: [{ host, port: Number(port) }] })
swarm.on('connection', (conn) => {
  conn.on('error', () => {})
  store.replicate(conn)
})
await swarm.join(drive.discoveryKey, { server: true, client: false }).flushed()
print('ready', { link: `pear://${idEncoding.encode(drive.key)}`, length: drive.core.length })

let round = 0
process.stdin.on('data', async () => {
  const clock = performance.timeOrigin + performance.now()
  await drive.put(`/round-${++round}`, Buffer.alloc(1000, round))
  print('append', { clock, length: drive.core.length })
})
process.once('SIGINT', async () => {
  await swarm.destroy()
  process.exit(0)
})

function print(tag, data) {
  process.stdout.write(JSON.stringify({ cmd: 'appender', tag, data }) + '\n')
}

// The JavaScript updater as a process: follows a link for an installed application and prints what `bosc watch` prints.
// argv: data folder, bootstrap host:port, link, installed application, name, version. A line on stdin applies.
import path from 'node:path'
import Corestore from 'corestore'
import Hyperswarm from 'hyperswarm'
import PearRuntimeUpdater from 'pear-runtime-updater'

const [dir, bootstrap, link, app, name, version] = process.argv.slice(2)
const [host, port] = bootstrap.split(':')
const store = new Corestore(path.join(dir, 'corestore'))
const updater = new PearRuntimeUpdater({ dir, upgrade: link, name, version, app, store, delay: 0 })
const swarm = new Hyperswarm({ bootstrap: [{ host, port: Number(port) }] })
const streams = []
swarm.on('connection', (conn) => {
  conn.on('error', () => {})
  streams.push(conn.rawStream)
  store.replicate(conn)
})
const received = () => streams.reduce((sum, s) => sum + s.bytesReceived, 0)
let before = 0
updater.on('error', (err) => print('error', { message: err.message }))
updater.on('updating', () => print('updating', {}))
updater.on('updated', () => {
  const now = received()
  print('updated', { received: now - before })
  before = now
})
await updater.ready()
swarm.join(updater.drive.discoveryKey, { server: false, client: true })
print('ready', {})
process.stdin.on('data', async () => {
  const start = performance.now()
  await updater.applyUpdate()
  print('applied', { ms: performance.now() - start })
})
process.once('SIGINT', () => process.exit(0))

function print(tag, data) {
  process.stdout.write(JSON.stringify({ cmd: 'watch', tag, data }) + '\n')
}

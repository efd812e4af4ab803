// A DHT of its own process, so that neither side pays for it.
import createTestnet from 'hyperdht/testnet.js'

const net = await createTestnet(5)
process.stdout.write(JSON.stringify({ cmd: 'testnet', tag: 'ready', data: net.bootstrap }) + '\n')
process.once('SIGINT', () => net.destroy().then(() => process.exit(0)))

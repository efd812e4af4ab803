// Persistent DHT nodes on one address: `dht-nodes.mjs HOST COUNT`. Prints host:port of the first when all are there.
import DHT from 'hyperdht'

const [host, count] = process.argv.slice(2)
const first = DHT.bootstrapper(49737, host)
await first.fullyBootstrapped()
for (let i = 0; i < Number(count); i++) {
  const node = new DHT({ bootstrap: [{ host, port: 49737 }], ephemeral: false, firewalled: false, quickFirewall: false, host })
  await node.fullyBootstrapped()
}
console.log(`${host}:49737`)

// A blind peer of npm blind-peer: `blind-peer.mjs BOOTSTRAP DIR [TRUSTED-KEY...]`. Prints its key when it listens, then a line of JSON for
// each core that it was asked to keep; at each line on stdin how many cores and bytes it keeps.
import readline from 'node:readline'
import BlindPeer from 'blind-peer'
import idEncoding from 'hypercore-id-encoding'

const [bootstrap, dir, ...trustedPubKeys] = process.argv.slice(2)
const [host, port] = bootstrap.split(':')
const peer = new BlindPeer(dir, { bootstrap: [{ host, port: Number(port) }], trustedPubKeys })
const say = (value) => console.log(JSON.stringify(value))
peer.on('add-core', (record, _, stream) => say({ core: idEncoding.encode(record.key), announce: record.announce, client: idEncoding.encode(stream.remotePublicKey) }))
peer.on('core-downloaded', (core) => say({ downloaded: idEncoding.encode(core.key), length: core.length }))
await peer.listen()
say({ key: idEncoding.encode(peer.publicKey) })
for await (const _ of readline.createInterface({ input: process.stdin })) say(peer.digest)

// Places on a network of our own: a public net with DHT nodes, and sites on it, open or behind NATs. Made of network
// namespaces, a bridge and nftables; needs root. Everything has names of this process, and goes with `close`.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'

const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })

/**
 * What a NAT does with the port of a socket, and whom it lets in. All drop what nobody inside asked for; Linux lets only
 * those answer that were written to, host and port.
 */
const MASQUERADE = {
  // One port for all remotes (the one it has inside, where that is free).
  cone: 'masquerade',
  // Another port for each remote.
  symmetric: 'masquerade random,fully-random'
}

let networks = 0

/** The program between two interfaces that loses and delays frames: WIRE, or the newest build in ../target. */
function wireProgram() {
  if (process.env.WIRE) return process.env.WIRE
  for (const profile of ['release', 'debug']) {
    const file = fileURLToPath(new URL(`../../target/${profile}/examples/wire`, import.meta.url))
    if (fs.existsSync(file)) return file
  }
  return null
}

/** Why no site can be put behind a bad wire here, or false. */
export function cannotMakeWires() {
  const why = cannotMakeSites()
  if (why) return why
  try {
    run('ethtool', '--version')
  } catch {
    return 'ethtool is not installed'
  }
  return wireProgram() === null ? 'no wire: cargo build --release -p bosc-testkit --example wire' : false
}

/** Why no router that maps ports can be made here, or false. */
export function cannotMakeRouters() {
  const why = cannotMakeSites()
  if (why) return why
  return fs.existsSync('/usr/sbin/miniupnpd') ? false : 'miniupnpd is not installed (miniupnpd-nftables)'
}

/** Why no such network can be made here, or false. */
export function cannotMakeSites() {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (process.getuid() !== 0) return 'network namespaces need root'
  for (const program of [['ip', '-V'], ['nft', '-v']]) {
    try {
      run(...program)
    } catch {
      return `${program[0]} is not installed`
    }
  }
  const name = `b${process.pid.toString(36)}try`
  try {
    run('ip', 'netns', 'add', name)
    run('ip', 'netns', 'del', name)
  } catch (e) {
    return `no network namespace can be made: ${String(e.stderr).trim()}`
  }
  return false
}

export class Sites {
  constructor() {
    this.name = `b${process.pid.toString(36)}${(networks++).toString(36)}`
    this.spaces = []
    this.children = []
    this.wires = []
    this.files = []
    this.count = 0
    this.hub = this.#space('hub')
    this.#in(this.hub, 'ip', 'link', 'add', 'br0', 'type', 'bridge')
    this.#in(this.hub, 'ip', 'link', 'set', 'br0', 'up')
  }

  #space(label) {
    const name = `${this.name}-${label}`
    run('ip', 'netns', 'add', name)
    this.spaces.push(name)
    run('ip', '-n', name, 'link', 'set', 'lo', 'up')
    return name
  }

  #in(space, ...command) {
    return run('ip', 'netns', 'exec', space, ...command)
  }

  // A cable from one namespace to another.
  #cable(from, fromName, to, toName) {
    const [a, b] = [`${this.name}${this.count}a`, `${this.name}${this.count++}b`]
    run('ip', 'link', 'add', a, 'type', 'veth', 'peer', 'name', b)
    run('ip', 'link', 'set', a, 'netns', from, 'name', fromName)
    run('ip', 'link', 'set', b, 'netns', to, 'name', toName)
    for (const [space, name] of [[from, fromName], [to, toName]]) run('ip', '-n', space, 'link', 'set', name, 'up')
  }

  #onPublic(space, wire) {
    const n = this.count
    if (wire) this.#wire(n, space, wire)
    else this.#cable(this.hub, `p${n}`, space, 'wan')
    this.#in(this.hub, 'ip', 'link', 'set', `p${n}`, 'master', 'br0')
    // Public addresses: those that are kept for examples and private ones are not believed by peers.
    const address = `5.9.0.${10 + n}`
    run('ip', '-n', space, 'addr', 'add', `${address}/24`, 'dev', 'wan')
    return address
  }

  // A cable to the hub with a bad wire in it. Interfaces at its ends cut segments and make checksums themselves: a frame is what a
  // wire would carry.
  #wire(n, space, { loss = 0, delay = 0, jitter = 0, rate, queue = 1000, seed = 1 }) {
    const box = this.#space(`w${n}`)
    this.#cable(this.hub, `p${n}`, box, 'left')
    this.#cable(box, 'right', space, 'wan')
    for (const [at, name] of [[this.hub, `p${n}`], [space, 'wan']]) {
      this.#in(at, 'ethtool', '-K', name, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off')
    }
    const flags = ['--loss', loss / 100, '--delay-ms', delay, '--jitter-ms', jitter, '--queue-kb', queue, '--seed', seed]
    if (rate) flags.push('--rate-mbit', rate)
    const child = this.start({ space: box }, wireProgram(), ['left', 'right', ...flags.map(String)], 'pipe')
    this.wires.push(once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) }))
  }

  /** Resolves when every wire passes frames. */
  async ready() {
    await Promise.all(this.wires)
  }

  /**
   * A site: a namespace that is open on the public net, or behind a NAT of its own, or (an object) open at the end of a bad wire:
   * `loss` in %, `delay` and `jitter` in ms, `rate` in Mbit/s, `queue` in KB, in either direction.
   */
  site(kind) {
    const n = this.count
    const inside = this.#space(`s${n}`)
    if (typeof kind === 'object') return { space: inside, address: this.#onPublic(inside, kind), kind: 'wire' }
    if (kind === 'open') return { space: inside, address: this.#onPublic(inside), kind }
    return { space: inside, kind, ...this.#behind(inside, kind, n, 'eth') }
  }

  // Puts a namespace behind a NAT of its own.
  #behind(inside, kind, n, device) {
    const box = this.#space(`n${n}`)
    const address = this.#onPublic(box)
    this.#cable(box, 'lan', inside, device)
    run('ip', '-n', box, 'addr', 'add', `192.168.${n}.1/24`, 'dev', 'lan')
    run('ip', '-n', inside, 'addr', 'add', `192.168.${n}.2/24`, 'dev', device)
    run('ip', '-n', inside, 'route', 'add', 'default', 'via', `192.168.${n}.1`)
    this.#in(box, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    const rules = `table ip nat {
      chain leaving { type nat hook postrouting priority srcnat; oifname "wan" ${MASQUERADE[kind]}; }
      chain incoming { type filter hook input priority filter; iifname "wan" ct state new drop; }
      chain forwarded { type filter hook forward priority filter; ct status dnat accept; iifname "wan" ct state new drop; }
    }`
    execFileSync('ip', ['netns', 'exec', box, 'nft', '-f', '-'], { input: rules })
    return { box, address, device }
  }

  /**
   * Runs a real miniupnpd on the router of a site, with `upnp`, or with `pcp` (and NAT-PMP, which it has together with that). It answers
   * from then on.
   */
  async router(site, kind) {
    const chains = `table inet filter { chain miniupnpd { }; chain prerouting_miniupnpd { }; chain postrouting_miniupnpd { };
      chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }; }`
    execFileSync('ip', ['netns', 'exec', site.box, 'nft', '-f', '-'], { input: chains })
    const file = path.join(os.tmpdir(), `${this.name}-${this.count++}.conf`)
    fs.writeFileSync(file, [
      'ext_ifname=wan', 'listening_ip=lan', 'uuid=00000000-0000-4000-8000-000000000000', 'secure_mode=yes', 'port=5000',
      `enable_upnp=${kind === 'upnp' ? 'yes' : 'no'}`, `enable_natpmp=${kind === 'upnp' ? 'no' : 'yes'}`,
      'allow 1024-65535 0.0.0.0/0 1024-65535', ''
    ].join('\n'))
    this.files.push(file)
    this.#in(site.box, 'ip', 'route', 'add', '239.0.0.0/8', 'dev', 'lan')
    const child = this.start({ space: site.box }, 'miniupnpd', ['-d', '-f', file, '-P', `${file}.pid`], 'ignore', 'pipe')
    this.files.push(`${file}.pid`)
    let said = ''
    const ready = new Promise((resolve, reject) => {
      child.stderr.on('data', (text) => {
        said += text
        if (/listening on|Listening for NAT-PMP|PCP/.test(said)) resolve()
      })
      child.on('exit', () => reject(new Error(`miniupnpd ended: ${said}`)))
    })
    await ready
  }

  /** Ports that the router of a site leads inside, as its rules have them. */
  mapped(site) {
    const rules = this.#in(site.box, 'nft', 'list', 'ruleset')
    return [...rules.matchAll(/dport (\d+) [^\n]*dnat[^\n]* to (\S+)/g)].map(([, port, to]) => ({ port: Number(port), to }))
  }

  /** Takes a site off the net: an open one loses its address, one behind a NAT its cable. */
  leave(site) {
    if (site.kind === 'open') run('ip', '-n', site.space, 'addr', 'del', `${site.address}/24`, 'dev', 'wan')
    else run('ip', '-n', site.space, 'link', 'del', site.device)
  }

  /** Gives a site that left another address: an open one on the same net, one behind a NAT in another network with a NAT of its own. */
  arrive(site) {
    const n = this.count++
    if (site.kind === 'open') {
      site.address = `5.9.0.${100 + n}`
      run('ip', '-n', site.space, 'addr', 'add', `${site.address}/24`, 'dev', 'wan')
    } else {
      Object.assign(site, this.#behind(site.space, site.kind, n, `eth${n}`))
    }
  }

  /** Lets no UDP through a site's NAT. */
  blockUdp(site) {
    const rules = 'table ip shut { chain shut { type filter hook forward priority filter; meta l4proto udp drop; }; }'
    execFileSync('ip', ['netns', 'exec', site.box, 'nft', '-f', '-'], { input: rules })
  }

  /** Lets no more than so many bits a second leave a site. */
  slow(site, rate) {
    const device = site.kind === 'open' ? 'wan' : site.device
    this.#in(site.space, 'tc', 'qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '50ms')
  }

  /** Starts a program at a site; it is stopped at the end. */
  start(site, program, args, stdin = 'ignore', stderr = 'inherit') {
    const stdio = [stdin, 'pipe', stderr]
    const child = spawn('ip', ['netns', 'exec', site.space, program, ...args], { stdio })
    this.children.push(child)
    return child
  }

  /** Which congestion control TCP uses at a site. */
  tcpControl(site, control) {
    // By its route: a namespace may not choose any for all.
    run('ip', '-n', site.space, 'route', 'replace', '5.9.0.0/24', 'dev', 'wan', 'src', site.address, 'proto', 'kernel', 'scope', 'link', 'congctl', control)
  }

  /** Gives the `Running` of a command at a site. */
  at(site, command) {
    return ['ip', 'netns', 'exec', site.space, ...command]
  }

  /** A DHT of JavaScript nodes on the public net. Gives its bootstrap address. */
  async dht(size = 5) {
    const hub = this.site('open')
    const child = this.start(hub, process.execPath, [fileURLToPath(new URL('../js/dht-nodes.mjs', import.meta.url)), hub.address, String(size)])
    const lines = readline.createInterface({ input: child.stdout })
    const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(60_000) })
    return line
  }

  async close() {
    for (const child of this.children) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    for (const file of this.files) fs.rmSync(file, { force: true })
    for (const space of this.spaces.reverse()) {
      try {
        for (const pid of run('ip', 'netns', 'pids', space).split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL')
        run('ip', 'netns', 'del', space)
      } catch {
        // It is gone.
      }
    }
  }
}

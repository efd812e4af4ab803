// So many bytes over a bad wire: by TCP from the moment it connects, by JavaScript and bosc from the start of the fetching process.
import { once } from 'node:events'
import readline from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fetchApart } from './apart.mjs'
import { Sites } from './sites.mjs'

const TCP = fileURLToPath(new URL('../js/tcp-peer.mjs', import.meta.url))
const PORT = '7000'

/** Milliseconds, or Infinity if not all of it came in `timeout` seconds. `who` is `bosc`, `js`, or TCP's congestion control. */
export async function overWire(who, wire, bytes, timeout = 120) {
  if (who !== 'bosc' && who !== 'js') return overTcp(who, wire, bytes, timeout)
  const { same, ms } = await fetchApart(['open', wire], [who, who], { bytes, timeout })
  return same ? ms : Infinity
}

async function overTcp(control, wire, bytes, timeout) {
  const sites = new Sites()
  try {
    const [near, far] = [sites.site('open'), sites.site(wire)]
    await sites.ready()
    const line = async (site, ...args) => {
      const child = sites.start(site, process.execPath, [TCP, ...args])
      const lines = readline.createInterface({ input: child.stdout })
      const gone = once(child, 'exit').then(() => ['Infinity'])
      return (await Promise.race([once(lines, 'line', { signal: AbortSignal.timeout(timeout * 1000) }), gone]))[0]
    }
    for (const site of [near, far]) sites.tcpControl(site, control)
    await line(near, 'serve', near.address, PORT)
    return Number(await line(far, 'get', near.address, PORT, String(bytes)))
  } catch (e) {
    if (e.name === 'AbortError' || e.name === 'TimeoutError') return Infinity
    throw e
  } finally {
    await sites.close()
  }
}

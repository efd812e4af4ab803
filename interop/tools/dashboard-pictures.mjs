// Draws the pictures in docs/dashboard.md anew, from a made-up snapshot of 1,000 peers:
//
//   cargo build -p bosc-release --example dashboard && node tools/dashboard-pictures.mjs ../docs
//   pngquant --force --ext .png 64 ../docs/dashboard*.png    # a third of their size
import path from 'node:path'
import { browser, fed, open, sample } from '../lib/browser.mjs'

const dir = process.argv[2]
if (!dir) {
  console.error('usage: node tools/dashboard-pictures.mjs DIR')
  process.exit(2)
}
const ends = []
const f = { later: (end) => ends.push(end) }
try {
  const it = await browser(f)
  const dash = await fed(f)
  const all = sample({ peers: 1000 })
  dash.show(all)
  const shot = async (name, view, at, { from = 'header', to = null } = {}) => {
    const page = await open(it, dash.url, view)
    await page.goto(new URL(at, dash.url).href)
    await page.waitForFunction(() => document.querySelector('#state.live'))
    const top = (await page.locator(from).boundingBox()).y
    const last = to && (await page.locator(to).boundingBox())
    const height = last ? last.y + last.height - top + 12 : view.height
    await page.screenshot({ path: path.join(dir, name), fullPage: true, clip: { x: 0, y: Math.max(0, top - 12), width: view.width, height } })
    await page.context().close()
  }
  const line = '/line/' + all.lines[2].link.replace('pear://', '')
  await shot('dashboard.png', { width: 860, height: 900 }, '/', { to: '#wanted' })
  await shot('dashboard-line.png', { width: 860, height: 900 }, line, { from: '#who', to: '#costs' })
  await shot('dashboard-phone.png', { width: 380, height: 760, dark: true }, '/')
} finally {
  for (const end of ends.reverse()) await end()
}

// A real Caddy on loopback that serves a folder below /app, with the settings of docs/mirrors.md.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'

export const hasCaddy = spawnSync('caddy', ['version']).status === 0

async function freePort() {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts Caddy with its files in `dir`, serving `root`. With `more`, lines of its settings for the site. */
export async function caddy(dir, root, more = '') {
  fs.mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const log = path.join(dir, 'access.log')
  const config = path.join(dir, 'Caddyfile')
  fs.writeFileSync(
    config,
    `{
  admin off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  log {
    output file ${log}
    format json
  }
  ${more}
  handle_path /app/* {
    root * ${root}
    @changes path /bosc-mirror /bosc-statements
    @stays not path /bosc-mirror /bosc-statements
    header @changes Cache-Control "no-cache"
    header @stays Cache-Control "public, max-age=31536000, immutable"
    respond /retired 403
    file_server
  }
}
`
  )
  const env = { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir }
  const err = fs.openSync(path.join(dir, 'error.log'), 'w')
  const child = spawn('caddy', ['run', '--config', config, '--adapter', 'caddyfile'], { env, stdio: ['ignore', 'ignore', err] })
  fs.closeSync(err)
  const ended = new Promise((resolve) => child.on('close', resolve))
  const up = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)))
      socket.on('error', () => resolve(false))
    })
  while (!(await up())) {
    if (child.exitCode !== null) throw new Error(fs.readFileSync(path.join(dir, 'error.log'), 'utf8'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    url: `http://127.0.0.1:${port}/app`,
    /** All requests so far. */
    requests() {
      const lines = fs.readFileSync(log, 'utf8').split('\n').filter(Boolean)
      return lines.map((line) => JSON.parse(line)).map(({ status, request }) => ({ status, uri: request.uri, range: request.headers.Range?.[0] }))
    },
    async close() {
      child.kill('SIGTERM')
      await ended
    }
  }
}

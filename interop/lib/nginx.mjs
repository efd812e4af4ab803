// A real nginx on loopback that serves a folder, with the settings of docs/mirrors.md; with `put` it also takes
// uploads; `rate` is the most Mbit/s of a connection.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'

export const hasNginx = spawnSync('nginx', ['-v']).status === 0

async function freePort() {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts nginx with its files in `dir`, serving `root` below /app. Its log has a line for each request. */
export async function nginx(dir, root, { put = false, rate = null } = {}) {
  fs.mkdirSync(dir, { recursive: true })
  const port = await freePort()
  const log = path.join(dir, 'access.log')
  fs.writeFileSync(
    path.join(dir, 'nginx.conf'),
    `user ${process.getuid() === 0 ? 'root' : 'nobody'};
worker_processes 1;
daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log;
events { worker_connections 256; }
http {
  log_format bytes '$request_method $uri $status $bytes_sent $request_length $connection "$http_range"';
  access_log ${log} bytes;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  client_max_body_size 64m;
  sendfile on;
  server {
    listen 127.0.0.1:${port};
    location /app/ {
      alias ${root}/;
      types { }
      default_type application/octet-stream;
      gzip off;
      ${rate ? `limit_rate ${Math.round(rate * 125)}k;` : ''}
      ${put ? 'dav_methods PUT DELETE MKCOL; create_full_put_path on;' : ''}
      add_header Cache-Control "public, max-age=31536000, immutable";
      location = /app/bosc-mirror { alias ${root}/bosc-mirror; add_header Cache-Control "no-cache"; ${put ? 'dav_methods PUT DELETE; create_full_put_path on;' : ''} }
    }
  }
}
`
  )
  const child = spawn('nginx', ['-c', path.join(dir, 'nginx.conf'), '-e', path.join(dir, 'error.log')], { stdio: 'ignore' })
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
    /** Requests since the last call. */
    requests() {
      const lines = fs.readFileSync(log, 'utf8').trim().split('\n').filter(Boolean)
      fs.truncateSync(log, 0)
      return lines.map((line) => {
        const [method, uri, status, sent, received, connection, range] = line.split(' ')
        return { method, uri, status: Number(status), sent: Number(sent), received: Number(received), connection, range }
      })
    },
    async close() {
      child.kill('SIGTERM')
      await ended
    }
  }
}

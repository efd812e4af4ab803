// A web server for mirrors on loopback, which can be every kind of bad server.
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'

/**
 * Serves `dir`. `mode` is a function of (path, request, response, bytes) that answers in its own way and returns true, or returns
 * false for the usual answer. Counts requests and bytes.
 */
export class MirrorServer {
  constructor(dir, { mode = () => false, ranges = true, etag = true } = {}) {
    this.dir = dir
    this.mode = mode
    this.ranges = ranges
    this.etag = etag
    this.log = []
    this.bytes = 0
    this.connections = 0
  }

  async start() {
    this.server = http.createServer({ keepAliveTimeout: 30_000 }, (req, res) => this._answer(req, res))
    this.server.on('connection', () => this.connections++)
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${this.server.address().port}/app`
    return this
  }

  close() {
    this.server.closeAllConnections()
    return new Promise((resolve) => this.server.close(resolve))
  }

  get requests() {
    return this.log.length
  }

  clear() {
    this.log = []
    this.bytes = 0
    this.connections = 0
  }

  _answer(req, res) {
    const name = decodeURIComponent(new URL(req.url, 'http://x').pathname).replace(/^\/app\//, '')
    const written = res.write.bind(res)
    const ended = res.end.bind(res)
    res.write = (chunk, ...rest) => ((this.bytes += chunk.length), written(chunk, ...rest))
    res.end = (chunk, ...rest) => ((this.bytes += chunk?.length ?? 0), ended(chunk, ...rest))
    let bytes = null
    try {
      bytes = fs.readFileSync(path.join(this.dir, name))
    } catch {}
    this.log.push({ name, range: req.headers.range, method: req.method })
    if (this.mode(name, req, res, bytes)) return
    if (bytes === null) return res.writeHead(404, { 'content-length': 0 }).end()
    const tag = `"${bytes.length}-${fs.statSync(path.join(this.dir, name)).mtimeMs}"`
    if (this.etag && name === 'bosc-mirror' && req.headers['if-none-match'] === tag) return res.writeHead(304).end()
    const headers = this.etag ? { etag: tag } : {}
    const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '')
    if (range && this.ranges) {
      const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
      const part = bytes.subarray(from, to + 1)
      res.writeHead(206, { ...headers, 'content-length': part.length, 'content-range': `bytes ${from}-${to}/${bytes.length}` })
      return res.end(part)
    }
    res.writeHead(200, { ...headers, 'content-length': bytes.length })
    res.end(bytes)
  }
}

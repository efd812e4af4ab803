// Mirrors written to and read from real servers: nginx that takes PUT, Caddy, and an S3 server that is sometimes busy and whose listing is late.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { assertDump, assertFailed } from '../lib/check.mjs'
import { caddy, hasCaddy } from '../lib/caddy.mjs'
import { fixture } from '../lib/fixture.mjs'
import { hasNginx, nginx } from '../lib/nginx.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 180_000
const NOBODY = { bootstrap: [{ host: '127.0.0.1', port: 9 }] }
const hasOpenssl = spawnSync('openssl', ['version']).stdout?.toString().startsWith('OpenSSL 3')
const hasMoto = spawnSync('moto_server', ['--help']).status === 0

async function staged(f) {
  const dir = f.tree(sampleApp())
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  return { author, link, dir }
}

test('nginx takes a mirror by PUT and serves it', { timeout, skip: hasNginx ? false : 'no nginx' }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir } = await staged(f)
  const root = f.fresh('www')
  fs.mkdirSync(root)
  const web = await nginx(f.fresh('nginx'), root, { put: true })
  t.after(() => web.close())
  const done = (await author.ok('mirror', link, web.url)).last('final')
  assert.equal(done.changed, true)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', web.url)
  writeTree(dir, { 'by-arch/linux-x64/app/new': noise(3, 100_000) })
  await author.stage(link, dir)
  const second = (await author.ok('mirror', link, web.url, '--keep', '0')).last('final')
  assert.ok(second.removed > 0, JSON.stringify(second))
  const client = f.bosc(NOBODY)
  web.requests()
  await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', web.url)
  assert.ok(web.requests().some((r) => r.status === 206 || r.status === 200))
  // A folder that is served is the same mirror.
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', root)
})

test('caddy serves a mirror, packing what it can or not', { timeout, skip: hasCaddy ? false : 'no caddy' }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir } = await staged(f)
  const root = f.fresh('www')
  await author.ok('mirror', link, root)
  for (const more of ['', 'encode gzip']) {
    const web = await caddy(f.fresh('caddy'), root, more)
    t.after(() => web.close())
    const client = f.bosc(NOBODY)
    await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', web.url)
    writeTree(dir, { 'by-arch/linux-x64/app/new': noise(more.length, 100_000) })
    await author.stage(link, dir)
    await author.ok('mirror', link, root)
    const before = web.requests().length
    await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', web.url)
    const asked = web.requests().slice(before)
    assert.ok(asked.length <= 12 && asked.every((r) => [200, 206].includes(r.status)), JSON.stringify(asked))
    assert.ok(asked.some((r) => r.status === 206), JSON.stringify(asked))
    assert.equal(asked[0].uri, '/app/bosc-mirror')
    // Nothing changed: it says so.
    await assertDump(client, link, f.fresh(), snapshot(dir), '--mirror', web.url)
    assert.equal((await fetch(`${web.url}/retired`)).status, 403)
    assert.equal((await fetch(`${web.url}/bosc-mirror`)).headers.get('cache-control'), 'no-cache')
  }
})

/** A company's authority, and a certificate of this machine that it vouches for. */
function authority(dir) {
  fs.mkdirSync(dir)
  const openssl = (...args) => {
    const done = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...args], { cwd: dir })
    assert.equal(done.status, 0, String(done.stderr))
  }
  openssl('-subj', '/CN=authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  const names = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'subjectAltName=IP:127.0.0.1']
  openssl('-subj', '/CN=server', '-CA', 'ca.pem', '-CAkey', 'ca.key', ...names, '-keyout', 'key.pem', '-out', 'cert.pem')
  return { ca: path.join(dir, 'ca.pem'), key: fs.readFileSync(path.join(dir, 'key.pem')), cert: fs.readFileSync(path.join(dir, 'cert.pem')) }
}

const able = hasNginx && hasOpenssl
test('a server takes a mirror from who has its token, by the authority that SSL_CERT_FILE names', { timeout, skip: able ? false : 'no nginx or openssl' }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir } = await staged(f)
  const root = f.fresh('www')
  fs.mkdirSync(root)
  const web = await nginx(f.fresh('nginx'), root, { put: true })
  t.after(() => web.close())
  const { ca, key, cert } = authority(f.fresh('authority'))
  const server = https.createServer({ key, cert }, (req, res) => {
    if (req.headers.authorization !== 'Bearer secret-of-the-test') {
      req.resume()
      return req.on('end', () => res.writeHead(401, { 'content-length': 0 }).end())
    }
    const to = http.request(web.url.replace(/\/app$/, req.url), { method: req.method, headers: req.headers }, (from) => {
      res.writeHead(from.statusCode, from.headers)
      from.pipe(res)
    })
    to.on('error', () => res.destroy())
    req.pipe(to)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  const target = `https://127.0.0.1:${server.address().port}/app`
  const run = (env) => f.bosc({ store: author.store, env }).end(['mirror', link, target], { timeout: 240_000 })
  assertFailed(await run({ SSL_CERT_FILE: ca, BOSC_MIRROR_TOKEN: 'another' }), 'ERR_MIRROR')
  const done = await run({ SSL_CERT_FILE: ca, BOSC_MIRROR_TOKEN: 'secret-of-the-test' })
  assert.equal(done.code, 0, done.describe())
  assert.doesNotMatch(JSON.stringify(done.lines) + done.stderr, /secret-of-the-test/)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', web.url)
})

/** An S3 server behind a proxy that answers every fifth request with 503 and hides what was just written from listings. */
async function s3(t, f) {
  const port = await new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
  const moto = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  t.after(() => moto.kill('SIGKILL'))
  const up = async () => fetch(`http://127.0.0.1:${port}/moto-api/`).then((r) => r.ok, () => false)
  while (!(await up())) await new Promise((resolve) => setTimeout(resolve, 100))
  const at = `http://127.0.0.1:${port}/releases`
  await fetch(at, { method: 'PUT' })
  // Everybody may read it, as readers do.
  const allow = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::releases/*' }
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [allow] })
  assert.ok((await fetch(`${at}?policy`, { method: 'PUT', body: policy })).ok)
  const seen = { busy: 0, lists: 0, puts: 0, n: 0 }
  const proxy = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://x')
    if (url.searchParams.has('list-type')) seen.lists++
    if (req.method === 'PUT') seen.puts++
    if (++seen.n % 5 === 0) {
      seen.busy++
      req.resume()
      return req.on('end', () => res.writeHead(503, { 'content-length': 0 }).end())
    }
    const to = http.request({ port, host: '127.0.0.1', path: req.url, method: req.method, headers: req.headers }, (from) => {
      res.writeHead(from.statusCode, from.headers)
      from.pipe(res)
    })
    to.on('error', () => res.destroy())
    req.pipe(to)
  })
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => (proxy.closeAllConnections(), proxy.close()))
  const endpoint = `http://127.0.0.1:${proxy.address().port}`
  const env = {
    AWS_ACCESS_KEY_ID: 'key-of-the-test',
    AWS_SECRET_ACCESS_KEY: 'secret-of-the-test',
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: endpoint
  }
  return { env, seen, web: `${at}/app`, endpoint }
}

test('a bucket takes a mirror and serves it', { timeout, skip: hasMoto ? false : 'no moto_server' }, async (t) => {
  const f = await fixture(t)
  const { author, link, dir } = await staged(f)
  const bucket = await s3(t, f)
  const writer = f.bosc({ store: author.store, env: bucket.env })
  const done = await writer.ok('mirror', link, 's3://releases/app')
  assert.ok(bucket.seen.busy > 0)
  assert.equal(bucket.seen.lists, 0, 'no listing is asked for')
  assert.doesNotMatch(JSON.stringify(done.lines) + done.stderr, /secret-of-the-test/)
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', bucket.web)
  writeTree(dir, { 'by-arch/linux-x64/app/new': noise(3, 100_000) })
  await author.stage(link, dir)
  bucket.seen.puts = 0
  const second = (await writer.ok('mirror', link, 's3://releases/app')).last('final')
  assert.ok(second.objects < 10 && bucket.seen.puts < 20, JSON.stringify(second))
  await assertDump(f.bosc(NOBODY), link, f.fresh(), snapshot(dir), '--mirror', bucket.web)
  // Nothing is known there any more: it says so, and no secret.
  const wrong = f.bosc({ store: author.store, env: { ...bucket.env, AWS_ENDPOINT_URL: 'http://127.0.0.1:9' } })
  const failed = await wrong.end(['mirror', link, 's3://releases/app'], { timeout: 240_000 })
  assertFailed(failed, 'ERR_MIRROR')
  assert.doesNotMatch(JSON.stringify(failed.lines) + failed.stderr, /secret-of-the-test/)
})

test('credentials are never an argument', { timeout }, async (t) => {
  const f = await fixture(t)
  const { author, link } = await staged(f)
  for (const target of ['https://user:word@example.com/x', 's3://key:word@bucket/x', 'ftp://example.com/', 's3://']) {
    const p = await author.end(['mirror', link, target])
    assertFailed(p, 'ERR_INVALID_INPUT')
  }
})

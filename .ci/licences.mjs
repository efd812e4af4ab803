// Checks that every crate in the lock file has a licence we may ship. Reads `cargo metadata` from stdin.
const allowed = new Set([
  'MIT', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Zlib', 'Unicode-3.0',
  'CC0-1.0', 'Unlicense', '0BSD', 'BSL-1.0', 'MIT-0',
  // Data, not code: Mozilla's list of certificate authorities in webpki-roots.
  'CDLA-Permissive-2.0'
])
let text = ''
for await (const chunk of process.stdin) text += chunk
const bad = []
const packages = JSON.parse(text).packages
for (const p of packages) {
  // "A OR B" needs one allowed side; "A AND B" needs all.
  const expression = (p.license ?? '').replaceAll('/', ' OR ').replaceAll('(', '').replaceAll(')', '')
  const ok = expression.split(/\s+AND\s+/).every((part) => part.split(/\s+OR\s+/).some((l) => allowed.has(l.trim())))
  if (!ok) bad.push(`${p.name} ${p.version}: ${p.license}`)
}
if (packages.length === 0 || bad.length > 0) {
  console.error('licences not allowed:\n' + bad.join('\n'))
  process.exit(1)
}
console.log(`licences: ${packages.length} packages, all allowed`)

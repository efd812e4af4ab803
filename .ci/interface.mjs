// The public interface of a crate as text, one item a line, from rustdoc's JSON: what a caller can name, with its types. Items that
// are hidden from the documentation are not part of it.
//   node .ci/interface.mjs target/doc/CRATE.json
import { readFileSync } from 'node:fs'

const { index, root, format_version: format } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const fail = (what) => {
  throw new Error(`rustdoc's format ${format} has ${what}, which .ci/interface.mjs does not know`)
}
const only = (object) => Object.entries(object)[0]

// The shortest public path of each item: what is handed on at the top is named there.
const paths = new Map()
const walk = (id, path, seen) => {
  const item = index[id]
  if (!item || seen.has(id)) return
  const [kind, inner] = only(item.inner)
  if (kind === 'use') {
    if (inner.id === null || !index[inner.id]) return
    if (!inner.is_glob) return walk(inner.id, [...path, inner.name], seen)
    for (const child of index[inner.id].inner.module?.items ?? []) enter(child, path, new Set([...seen, inner.id]))
    return
  }
  const old = paths.get(id)
  if (!old || path.length < old.length) paths.set(id, path)
  if (kind === 'module') for (const child of inner.items) enter(child, path, new Set([...seen, id]))
}
const enter = (id, path, seen) => {
  const item = index[id]
  if (item) walk(id, 'use' in item.inner ? path : [...path, item.name], seen)
}
walk(root, [], new Set())

const shown = (id, path) => paths.get(id)?.join('::') ?? path.replace(/^(\$crate|crate)::/, '').split('::').at(-1)
const list = (all, one) => all.map(one).join(', ')
const args = (a) => {
  if (!a) return ''
  const [kind, inner] = only(a)
  if (kind === 'parenthesized')
    return `(${list(inner.inputs, type)})${inner.output ? ` -> ${type(inner.output)}` : ''}`
  if (kind !== 'angle_bracketed') return `(..)`
  const all = inner.args.map((arg) => {
    if (arg === 'infer') return '_'
    const [what, value] = only(arg)
    return what === 'type' ? type(value) : what === 'lifetime' ? value : value.expr
  })
  for (const c of inner.constraints) {
    const [what, value] = only(c.binding)
    const bound = what === 'constraint' ? `: ${bounds(value)}` : ` = ${value.type ? type(value.type) : term(value)}`
    all.push(c.name + args(c.args) + bound)
  }
  return all.length ? `<${all.join(', ')}>` : ''
}
const term = (t) => (t.type ? type(t.type) : t.constant ? t.constant.expr : type(t))
const trait = (t) => shown(t.id, t.path) + args(t.args)
const binder = (params) => (params?.length ? `for<${list(params, (p) => p.name)}> ` : '')
const bounds = (all) =>
  all
    .map((b) => {
      const [kind, inner] = only(b)
      if (kind === 'outlives') return inner
      if (kind === 'use') return `use<${list(inner, (one) => Object.values(one)[0])}>`
      if (kind !== 'trait_bound') return fail(`the bound ${kind}`)
      return (inner.modifier === 'maybe' ? '?' : '') + binder(inner.generic_params) + trait(inner.trait)
    })
    .join(' + ')
const type = (t) => {
  const [kind, inner] = only(t)
  switch (kind) {
    case 'primitive':
      return inner === 'never' ? '!' : inner
    case 'generic':
      return inner
    case 'resolved_path':
      return shown(inner.id, inner.path) + args(inner.args)
    case 'tuple':
      return inner.length === 1 ? `(${type(inner[0])},)` : `(${list(inner, type)})`
    case 'slice':
      return `[${type(inner)}]`
    case 'array':
      return `[${type(inner.type)}; ${inner.len}]`
    case 'borrowed_ref':
      return `&${inner.lifetime ? `${inner.lifetime} ` : ''}${inner.is_mutable ? 'mut ' : ''}${type(inner.type)}`
    case 'raw_pointer':
      return `*${inner.is_mutable ? 'mut' : 'const'} ${type(inner.type)}`
    case 'impl_trait':
      return `impl ${bounds(inner)}`
    case 'dyn_trait': {
      const all = inner.traits.map((b) => binder(b.generic_params) + trait(b.trait))
      return `dyn ${[...all, ...(inner.lifetime ? [inner.lifetime] : [])].join(' + ')}`
    }
    case 'qualified_path': {
      const of = type(inner.self_type)
      const what = inner.trait?.path ? `<${of} as ${trait(inner.trait)}>` : of
      return `${what}::${inner.name}${args(inner.args)}`
    }
    case 'function_pointer':
      return binder(inner.generic_params) + signature('', inner, '')
    default:
      return fail(`the type ${kind}`)
  }
}
const generics = (g) => {
  const all = g.params.flatMap((p) => {
    const [kind, inner] = only(p.kind)
    if (kind === 'lifetime') return [p.name + (inner.outlives.length ? `: ${inner.outlives.join(' + ')}` : '')]
    if (kind === 'const') return [`const ${p.name}: ${type(inner.type)}`]
    if (inner.is_synthetic) return []
    return [p.name + (inner.bounds.length ? `: ${bounds(inner.bounds)}` : '') + (inner.default ? ` = ${type(inner.default)}` : '')]
  })
  return all.length ? `<${all.join(', ')}>` : ''
}
const where = (g) => {
  const all = g.where_predicates.map((p) => {
    const [kind, inner] = only(p)
    if (kind === 'bound_predicate') return `${binder(inner.generic_params)}${type(inner.type)}: ${bounds(inner.bounds)}`
    if (kind === 'lifetime_predicate') return `${inner.lifetime}: ${inner.outlives.join(' + ')}`
    return `${type(inner.lhs)} = ${term(inner.rhs)}`
  })
  return all.length ? ` where ${all.join(', ')}` : ''
}
const signature = (name, f, params) => {
  const { header: h, sig } = f
  const abi = h.abi === 'Rust' ? '' : `extern ${JSON.stringify(Object.keys(h.abi)[0] ?? h.abi)} `
  const before = `${h.is_const ? 'const ' : ''}${h.is_async ? 'async ' : ''}${h.is_unsafe ? 'unsafe ' : ''}${abi}fn`
  const inputs = list(sig.inputs, ([n, t]) => {
    if (n !== 'self') return name ? `${n}: ${type(t)}` : type(t)
    const shownType = type(t)
    return shownType === 'Self' ? 'self' : /^&('\w+ )?(mut )?Self$/.test(shownType) ? shownType.replace('Self', 'self') : `self: ${shownType}`
  })
  const output = sig.output ? ` -> ${type(sig.output)}` : ''
  return `${before}${name && ` ${name}`}${params}(${inputs})${output}`
}

const lines = new Set()
const attributes = (item) =>
  item.attrs
    .map((a) => (typeof a === 'string' ? a : Object.keys(a)[0]))
    .filter((a) => a === 'non_exhaustive' || a === 'must_use')
    .map((a) => `#[${a}] `)
    .join('')
const method = (id, path) => {
  const item = index[id]
  if (!item) return
  const [kind, f] = only(item.inner)
  const name = `${path}::${item.name}`
  if (kind === 'function') lines.add(attributes(item) + signature(name, f, generics(f.generics)) + where(f.generics))
  else if (kind === 'assoc_const') lines.add(`const ${name}: ${type(f.type)}`)
  else if (kind === 'assoc_type')
    lines.add(`type ${name}${f.bounds?.length ? `: ${bounds(f.bounds)}` : ''}${f.type ? ` = ${type(f.type)}` : ''}`)
  else fail(`the item ${kind}`)
}
const fields = (kind, path) => {
  if (kind === 'unit') return
  const [shape, inner] = only(kind)
  const all = shape === 'tuple' ? inner : inner.fields
  all.forEach((id, at) => {
    if (id !== null && index[id]) lines.add(`field ${path}.${shape === 'tuple' ? at : index[id].name}: ${type(index[id].inner.struct_field)}`)
  })
  const more = shape === 'tuple' ? inner.includes(null) : inner.has_stripped_fields
  if (more) lines.add(`field ${path}.. (private)`)
}
const plain = (kind) => {
  if (kind === 'plain') return 'unit'
  return kind
}
const implementations = (all, path) => {
  const auto = []
  for (const { inner } of all.map((id) => index[id]).filter(Boolean)) {
    const i = inner.impl
    if (i.blanket_impl) continue
    if (i.is_synthetic) {
      if (!i.is_negative && ['Send', 'Sync'].includes(i.trait.path)) auto.push(i.trait.path)
    } else if (!i.trait) {
      for (const id of i.items) method(id, path)
    } else if (!i.trait.path.includes('StructuralPartialEq')) {
      lines.add(`impl${generics(i.generics)} ${trait(i.trait)} for ${type(i.for)}${where(i.generics)}`)
    }
  }
  lines.add(`auto ${path}: ${auto.sort().join(' + ') || 'neither Send nor Sync'}`)
}

for (const [id, segments] of paths) {
  const item = index[id]
  const path = segments.join('::')
  const [kind, inner] = only(item.inner)
  const head = (word) => attributes(item) + `${word} ${path}${generics(inner.generics)}${where(inner.generics)}`
  switch (kind) {
    case 'module':
      if (path) lines.add(`mod ${path}`)
      break
    case 'struct':
      lines.add(head('struct'))
      fields(plain(inner.kind), path)
      implementations(inner.impls, path)
      break
    case 'enum':
      lines.add(head('enum'))
      for (const variant of inner.variants.map((v) => index[v]).filter(Boolean)) {
        lines.add(`${attributes(variant)}variant ${path}::${variant.name}`)
        fields(plain(variant.inner.variant.kind), `${path}::${variant.name}`)
      }
      implementations(inner.impls, path)
      break
    case 'trait':
      lines.add(head('trait') + (inner.bounds.length ? `: ${bounds(inner.bounds)}` : ''))
      for (const child of inner.items) method(child, path)
      break
    case 'function':
      lines.add(attributes(item) + signature(path, inner, generics(inner.generics)) + where(inner.generics))
      break
    case 'type_alias':
      lines.add(`type ${path}${generics(inner.generics)} = ${type(inner.type)}`)
      break
    case 'constant':
      lines.add(`const ${path}: ${type(inner.type)}`)
      break
    case 'static':
      lines.add(`static ${path}: ${type(inner.type)}`)
      break
    case 'macro':
      lines.add(`macro ${path}!`)
      break
    default:
      fail(`the item ${kind}`)
  }
}

// By the item that a line is about, so that one's lines stand together.
const key = (line) => line.match(/(?:for (?:&(?:'\w+ )?(?:mut )?)?|fn |mod |struct |enum |trait |variant |field |const |static |type |auto |macro )((?:\w+::)*\w+)/)?.[1] ?? line
const sorted = [...lines].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a < b ? -1 : 1))
console.log(sorted.join('\n'))

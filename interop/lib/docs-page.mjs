// Reads an operator page as what a person does with it: commands to type, what they show, files to write.
//
// A page is ordinary Markdown. What a test must know and a reader need not see stands in HTML comments:
//
//   <!-- machine: alice -->            the blocks that follow are typed on this machine (or: alice, bob)
//   <!-- file: pear.json on alice -->  the next fenced block is this file; $NAMES in it are replaced
//   <!-- copy: alice:a to bob:b -->    a file is carried from one machine to another, or from the `repository`
//   <!-- end: bob -->                  everything that bob runs in the background ends as with Ctrl+C
//   <!-- kill: bob -->                 the same with kill -9
//   <!-- lose: bob -->                 the same, and the machine's disk is gone
//   <!-- empty: bob -->                the same, and a new disk is in it
//   <!-- wait: bob TEXT -->            until something in the background of bob has shown TEXT
//   <!-- test: NAME WORDS -->          a check written in JavaScript
//   <!-- hidden: ... -->               commands as in a console block, on as many lines as needed
//   <!-- killed at TEXT: ... -->       one command; its whole machine is killed with -9 when it shows TEXT
//   <!-- sections: apart -->           every section starts from where the text above it left all machines
//
// A console block has commands after `$ ` (continued after a backslash, on lines that begin with `> `) and below each
// what it shows. `...` stands for anything, alone on a line for any lines. `^C` alone is typed by the reader. A command that
// shows a line with `error:` must fail, all others must succeed. `[y/N] y` is a question and its answer.

const MARKER = /^<!--\s*([a-z]+)(?:\s+at\s+(.+?))?:\s*([\s\S]*?)\s*-->$/

/** One page: its sections, each with the steps in order. The first section is what stands above the first `## `. */
export function parsePage(text, name = 'page') {
  const page = { name, apart: false, sections: [{ title: name, line: 1, steps: [] }] }
  const lines = text.split(/\r?\n/)
  let file = null
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]
    const section = page.sections.at(-1)
    const at = i + 1
    if (line.startsWith('## ')) {
      page.sections.push({ title: line.slice(3).trim(), line: at, steps: [] })
    } else if (line.startsWith('<!--')) {
      let comment = line
      while (!comment.includes('-->') && i + 1 < lines.length) comment += `\n${lines[++i]}`
      const found = comment.match(MARKER)
      if (!found) throw new PageError(name, at, `not a marker: ${comment.slice(0, 60)}`)
      const [, kind, when, rest] = found
      if (kind === 'file') file = { ...filePlace(rest), line: at }
      else if (kind === 'sections') page.apart = rest === 'apart'
      else section.steps.push(marker(name, at, kind, when, rest))
    } else if (/^\s*```/.test(line)) {
      const indent = line.match(/^\s*/)[0]
      const language = line.trim().slice(3).trim()
      const body = []
      while (++i < lines.length && lines[i].trim() !== '```') body.push(lines[i].startsWith(indent) ? lines[i].slice(indent.length) : lines[i])
      if (i >= lines.length) throw new PageError(name, at, 'a fenced block without an end')
      if (file) {
        section.steps.push({ kind: 'file', ...file, text: `${body.join('\n')}\n`, line: at })
        file = null
      } else if (language === 'console') {
        section.steps.push({ kind: 'console', commands: parseConsole(name, body, at + 1), line: at })
      } else {
        const command = body.findIndex((l) => /^\s*(\$\s+\S|bosc\s+[a-z])/.test(l))
        if (command >= 0) throw new PageError(name, at + 1 + command, `a command that no test runs: mark the block \`\`\`console`)
      }
    } else {
      if (file && line.trim() !== '') throw new PageError(name, file.line, 'a file marker without a fenced block below it')
      for (const found of line.matchAll(/`(bosc [^`]+)`/g)) section.steps.push({ kind: 'mention', text: found[1], line: at })
    }
  }
  return page
}

/** What is wrong with a page, and where. */
export class PageError extends Error {
  constructor(name, line, message) {
    super(`${name}:${line}: ${message}`)
    this.line = line
  }
}

function filePlace(text) {
  const [path, machines] = text.split(/\s+on\s+/)
  return { path: path.trim(), machines: machines ? names(machines) : null }
}

function names(text) {
  return text.split(',').map((n) => n.trim()).filter(Boolean)
}

function marker(page, line, kind, when, rest) {
  switch (kind) {
    case 'machine':
    case 'end':
    case 'kill':
    case 'lose':
    case 'empty':
      return { kind, machines: names(rest), line }
    case 'wait': {
      const [machine, ...words] = rest.split(/\s+/)
      return { kind, machine, text: words.join(' '), line }
    }
    case 'copy': {
      const found = rest.match(/^(\w+):(\S+)\s+to\s+(\w+):(\S+)$/)
      if (!found) throw new PageError(page, line, 'copy: MACHINE:PATH to MACHINE:PATH')
      return { kind, from: [found[1], found[2]], to: [found[3], found[4]], line }
    }
    case 'test':
      return { kind, words: rest.split(/\s+/), line }
    case 'hidden':
    case 'killed': {
      const body = rest.split('\n')
      const commands = parseConsole(page, body, line + 1)
      return { kind: kind === 'hidden' ? 'console' : 'killed', when, commands, hidden: true, line }
    }
    default:
      throw new PageError(page, line, `no such marker: ${kind}`)
  }
}

/** Commands and what they show. */
export function parseConsole(page, body, firstLine) {
  const commands = []
  for (let i = 0; i < body.length; i++) {
    const line = body[i]
    if (line.startsWith('$ ')) {
      const command = { text: line.slice(2), shown: [], line: firstLine + i }
      while (body[i].endsWith('\\') && body[i + 1]?.startsWith('> ')) command.text += `\n${body[++i].slice(2)}`
      commands.push(command)
    } else if (commands.length === 0) {
      if (line.trim() !== '') throw new PageError(page, firstLine + i, 'a console block starts with a command')
    } else {
      commands.at(-1).shown.push(line.trimEnd())
    }
  }
  for (const c of commands) {
    while (c.shown.length && c.shown.at(-1) === '') c.shown.pop()
    c.interrupted = c.shown.at(-1) === '^C'
    if (c.interrupted) c.shown.pop()
    c.background = /[^&]&\s*$/.test(c.text)
    if (c.background) c.text = c.text.replace(/\s*&\s*$/, '')
    c.fails = c.shown.some((l) => /^error:/.test(l))
    c.answers = c.shown.map((l) => l.match(/^(.*\[y\/N\]) (\w+)$/)).filter(Boolean).map((m) => ({ question: m[1], answer: m[2] }))
  }
  return commands
}

/** The first shown line that the output does not have, in this order; `null` when all are there. */
export function missing(shown, output) {
  const lines = output.split('\n')
  let next = 0
  for (const line of shown) {
    if (line === '' || line.trim() === '...') continue
    const pattern = new RegExp(`^\\s*${line.trim().split(/\.{3}(?!\.)/).map(escape).join('.*')}\\s*$`)
    const found = lines.findIndex((l, i) => i >= next && pattern.test(l))
    if (found < 0) return line
    next = found + 1
  }
  return null
}

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

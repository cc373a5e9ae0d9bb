/** What comments and pages cite exists: pages, their sections, and files. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, URL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { anchorsOf, headingsOf, ownLinks, relativeLinks } from './support/pages.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const found = (...patterns: string[]) =>
  patterns.flatMap((pattern) => globSync(pattern, { cwd: root })).map((path) => path.replaceAll('\\', '/'))

/** Made by commands, of names of tests as they were then. */
const generated = ['docs/guarantees.md', 'docs/mutation.md']
const pages = found('*.md', 'docs/**/*.md')
const written = pages.filter((page) => !generated.includes(page))
const code = found('src/**/*.ts', 'test/**/*.ts', 'scripts/**/*.{ts,cjs}')
// What this file cites is made up.
const citing = [...code.filter((file) => file !== 'test/citations.test.ts'), ...written]
const files = [...code, ...found('docs/**/*.*', 'test/**/*.json', '*.{md,ts,toml,json}')]
const sectionsOf = new Map(pages.map((page) => [page, headingsOf(read(page))]))

/** A text without the marks that begin a line of a comment, in one line: a citation may be wrapped. */
const unwrapped = (text: string) => text.replace(/\n[ \t]*(?:\* |\/\/ |\*$)?[ \t]*/g, ' ')
const pageNamed = (name: string) =>
  pages.find((page) => page === name || page === `${name}.md` || page === `docs/${name}`)

/** Pages cited by name: `docs/x.md`, `docs/x.md, "Section"`, `docs/x.md, "One" and "Another"`, `README, "Section"`, `docs/x.md §2`. */
function citationsIn(text: string): readonly { readonly page: string; readonly sections: readonly string[] }[] {
  return [
    ...unwrapped(text).matchAll(
      /(?<![\w/.-])((?:docs\/)?[\w-]+\.md|README|CONTRIBUTING|SECURITY)\b((?:(?:,| and)? (?:"[^"]+"|§ ?[\w.]+))*)/g,
    ),
  ].map(([, page = '', sections = '']) => ({
    page,
    sections: [...sections.matchAll(/"([^"]+)"|§ ?(\w+)/g)].map(([, name, number]) => name ?? `${number}.`),
  }))
}

describe('citations', () => {
  it.each([
    ['/** (docs/rules.md, "Settle"). */', [{ page: 'docs/rules.md', sections: ['Settle'] }]],
    [
      '/**\n * (docs/rules.md,\n * "Settle" and "Event\n * ids")',
      [{ page: 'docs/rules.md', sections: ['Settle', 'Event ids'] }],
    ],
    [
      '// README, "Try it": see docs/x.md §4',
      [
        { page: 'README', sections: ['Try it'] },
        { page: 'docs/x.md', sections: ['4.'] },
      ],
    ],
    ['in https://example.org/docs/rules.md', []],
  ])('of %j are found', (text, cited) => {
    expect(citationsIn(text)).toEqual(cited)
  })

  it('lead to pages and sections that exist', () => {
    const dead = citing.flatMap((file) =>
      citationsIn(read(file)).flatMap(({ page, sections }) => {
        const named = pageNamed(page)
        if (named === undefined) return [`${file}: ${page}`]
        const there = sectionsOf.get(named) ?? []
        return sections
          .filter((section) => !there.some((one) => one === section || one.startsWith(`${section} `)))
          .map((section) => `${file}: ${page}, "${section}"`)
      }),
    )
    expect(dead).toEqual([])
  })

  it('that are links lead to pages and sections that exist', () => {
    const dead = pages.flatMap((page) =>
      [...relativeLinks(read(page), page), ...ownLinks(read(page))]
        .filter(
          ({ path, anchor }) =>
            !existsSync(join(root, path)) || (anchor !== undefined && !anchorsOf(read(path)).includes(anchor)),
        )
        .map(({ path, anchor = '' }) => `${page}: ${path}#${anchor}`),
    )
    expect(dead).toEqual([])
  })

  it('of files, in pages and in the comments of src, name files that exist', () => {
    const dead = [...code.filter((file) => file.startsWith('src/')), ...written].flatMap((file) => {
      const text = read(file)
      const prose = file.endsWith('.md') ? text : [...text.matchAll(/^\s*(?:\/\*|\*|\/\/).*$/gm)].join('\n')
      return [...prose.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.(?:ts|md))`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !files.some((one) => one === name || one.endsWith(`/${name}`)))
        .map((name) => `${file}: ${name}`)
    })
    expect(dead).toEqual([])
  })

  it('of decisions lead to one', () => {
    const dead = citing.flatMap((file) =>
      [...read(file).matchAll(/docs\/adr\/(\d{4})/g)]
        .filter(([, number = '']) => !pages.some((page) => page.startsWith(`docs/adr/${number}-`)))
        .map(([cited]) => `${file}: ${cited}`),
    )
    expect(dead).toEqual([])
  })

  it('never name a page that only its authors have', () => {
    const theirs = /\b(?:DESIGN|PROTOCOL)(?:\.md\b| §)/
    expect(citing.filter((file) => theirs.test(read(file)))).toEqual([])
  })
})

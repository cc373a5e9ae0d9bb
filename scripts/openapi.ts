/**
 * `npm run openapi`: writes the document that a relay serves at /openapi.json. `--check` fails where it is not what the
 * schemas say today.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { documentOf } from '../src/edge/contract/document.ts'

const file = 'src/edge/openapi.ts'
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
const text = moduleOf(documentOf(version))

if (!process.argv.includes('--check')) writeFileSync(file, text)
else if (readFileSync(file, 'utf8') !== text) {
  console.error(`${file} is not what the schemas say: npm run openapi`)
  process.exitCode = 1
}

/** A line for each path and each schema, so that a change shows what it changes. A bundler joins them. */
function moduleOf({ paths, components, ...head }: ReturnType<typeof documentOf>): string {
  const { schemas, ...others } = components
  const pieces = [
    `${JSON.stringify(head).slice(0, -1)},"paths":{`,
    ...listed(paths),
    `},"components":${JSON.stringify(others).slice(0, -1)},"schemas":{`,
    ...listed(schemas),
    '}}}',
  ]
  const lines = pieces.map((piece) => `  '${piece.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
  return `/** Made by \`npm run openapi\` of the schemas: not to be edited. The contract as JSON, for \`/openapi.json\`. */
export const openapi: string =
${lines.join(' +\n')}
`
}

function listed(named: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(named)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value], index) => `${index === 0 ? '' : ','}${JSON.stringify(name)}:${JSON.stringify(value)}`)
}

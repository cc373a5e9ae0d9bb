#!/usr/bin/env node
/** The installed command. What an older Node can't even load is only loaded once it is known to be new enough. */
import process from 'node:process'

/** `node:sqlite` without a flag, and `import.meta.main`. */
const needed = [24, 2] as const
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (process.versions['bun'] === undefined && (major < needed[0] || (major === needed[0] && minor < needed[1]))) {
  process.stderr.write(
    `target-relay needs Node ${needed.join('.')} or newer, Deno 2.9 or Bun 1.4; this is Node ${process.versions.node}\n`,
  )
  process.exitCode = 2
} else {
  const { runHere } = await import('./main.ts')
  await runHere()
}

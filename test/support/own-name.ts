/** Lets the examples, which import the package by its name, run on Node without a build of it. */
import { registerHooks } from 'node:module'
import { URL } from 'node:url'

const index = new URL('../../src/index.ts', import.meta.url).href

registerHooks({ resolve: (name, context, next) => next(name === 'target-relay' ? index : name, context) })

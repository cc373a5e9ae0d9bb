/** The contract of probes, and of the document itself. */
import * as z from 'zod'
import { time } from './common.ts'
import { answer, type Operation } from './operation.ts'

const checks = z.record(z.string(), z.enum(['ok', 'warn', 'fail']))

export const readiness = answer(
  'Readiness',
  z.looseObject({
    status: z.enum(['ready', 'not_ready']),
    ledger: z.string().optional(),
    checks: checks.optional(),
    lastFlushAt: time.optional(),
    sources: z.string().optional(),
  }),
)

const isAlive = {
  path: '/healthz',
  summary: 'Liveness',
  access: 'anybody',
  answers: { 200: answer('Alive', z.object({ status: z.literal('ok') })) },
  problems: [405],
} as const

const isReady = {
  summary: 'Readiness: 503 where nothing can be kept; details for operators',
  access: 'anybody',
  answers: { 200: readiness, 503: readiness },
  problems: [405],
} as const

export const probeOperations: readonly Operation[] = [
  { ...isAlive, method: 'get', id: 'isAlive' },
  { ...isAlive, method: 'options', id: 'isAliveByOptions' },
  { ...isReady, method: 'get', path: '/readyz', id: 'isReady' },
  { ...isReady, method: 'options', path: '/readyz', id: 'isReadyByOptions' },
  { ...isReady, method: 'options', path: '/', id: 'isReadyAtRoot', problems: [] },
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    summary: 'Figures for Prometheus: OpenMetrics where it is asked for, else the text format 0.0.4',
    access: 'viewer',
    answers: { 200: { 'application/openmetrics-text': z.string(), 'text/plain': z.string() } },
    problems: [401, 404, 405],
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'getContract',
    summary: 'This document',
    access: 'anybody',
    answers: { 200: answer('Document', z.looseObject({ openapi: z.string() })) },
    problems: [405],
  },
]

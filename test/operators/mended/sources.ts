import { sourcesWith } from '../sources.ts'

export const sources = sourcesWith('who')

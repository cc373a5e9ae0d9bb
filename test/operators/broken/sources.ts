import { sourcesWith } from '../sources.ts'

export const sources = sourcesWith('customer')

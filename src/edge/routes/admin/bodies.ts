/** What bodies of `/admin/api` have in common. */
import * as z from 'zod'
import { validateVisitor } from '../../../core/update/validate.ts'
import { refuse } from '../../http/valid.ts'

export const maxBodyBytes = 16_384

export const visitorBody = z.strictObject({ visitor: z.unknown() })

export const notAVisitor = refuse('invalid', () => {
  const checked = validateVisitor(undefined)
  return { errors: checked.ok ? [] : checked.problems }
})

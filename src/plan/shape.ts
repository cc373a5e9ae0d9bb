/**
 * Traffic in words, as `2M/day, nightly 1.2M@23:00, visitors 500k zipf 1.1, attributes 3, unchanged 40%` (docs/plan.md has
 * the grammar): parts between commas, each at most once but `nightly`.
 */

export interface Shape {
  /** Updates a day, those of batches included. */
  readonly perDay: number
  readonly batches: readonly Batch[]
  /** When the rest arrives, in ms from midnight UTC; evenly. */
  readonly fromMs: number
  readonly toMs: number
  readonly visitors: number
  /** Of Zipf's law; 0: each visitor alike. */
  readonly exponent: number
  /** How many names an update carries, and of how many in all. */
  readonly attributes: number
  readonly ofAttributes: number
  /** Share of updates whose values are those of the update before, 0..1; undefined where nobody said. */
  readonly unchanged?: number
}

/** Arrives every day, evenly over its span. */
export interface Batch {
  readonly updates: number
  readonly atMs: number
  readonly overMs: number
}

export type ReadShape = { readonly ok: true; readonly shape: Shape } | { readonly ok: false; readonly problem: string }

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]
const number = String.raw`(\d[\d_]*(?:\.\d+)?)\s*([kM]?)`
const clock = String.raw`(\d{1,2}):(\d{2})`
const mostUpdates = 100_000_000
const mostVisitors = 20_000_000
const mostNames = 30

export const shapeGrammar = `<n>/day            updates a day in all, as 2M/day, 350k/day
nightly <n>@HH:MM  of them at once from then on (UTC), within an hour, or: over 20 min, over 2 h
between HH:MM-HH:MM  when the rest arrives; without it, around the clock
visitors <n>       how many, each alike, or: zipf 1.1 (a few have most of the updates)
attributes <n>     names in an update, always the same ones, or: attributes 1 of 3
unchanged <p>%     updates whose values are those that the visitor has`

interface Draft {
  perDay?: number
  batches: Batch[]
  between?: readonly [number, number]
  visitors?: readonly [number, number]
  attributes?: readonly [number, number]
  unchanged?: number
}

/** A part of a shape: its name in errors, what it looks like, and what it says. A text returned is a problem. */
const parts: readonly (readonly [
  name: keyof Draft,
  form: RegExp,
  example: string,
  read: (draft: Draft, groups: readonly string[]) => string | undefined,
])[] = [
  [
    'perDay',
    new RegExp(`^${number}\\s*/\\s*day$`),
    '2M/day',
    (draft, [digits, unit]) => {
      draft.perDay = amount(digits, unit)
      return draft.perDay > mostUpdates ? `has more than ${mostUpdates} updates a day` : undefined
    },
  ],
  [
    'batches',
    new RegExp(`^nightly\\s+${number}\\s*@\\s*${clock}(?:\\s+over\\s+(\\d+)\\s*(min|h))?$`),
    'nightly 1.2M@23:00 over 30 min',
    (draft, [digits, unit, hours, minutes, over, overUnit]) => {
      const atMs = timeOf(hours, minutes)
      const overMs = over === undefined ? hourMs : Number(over) * (overUnit === 'h' ? hourMs : minuteMs)
      if (atMs === undefined) return 'has a time that is none'
      if (overMs === 0 || overMs > dayMs) return 'must take from 1 min to 24 h'
      draft.batches.push({ updates: amount(digits, unit), atMs, overMs })
      return undefined
    },
  ],
  [
    'between',
    new RegExp(`^between\\s+${clock}\\s*-\\s*${clock}$`),
    'between 08:00-20:00',
    (draft, [h1, m1, h2, m2]) => {
      const [from, to] = [timeOf(h1, m1), timeOf(h2, m2) ?? (h2 === '24' && m2 === '00' ? dayMs : undefined)]
      if (from === undefined || to === undefined) return 'has a time that is none'
      if (from >= to) return 'must end after it begins (on one day)'
      draft.between = [from, to]
      return undefined
    },
  ],
  [
    'visitors',
    new RegExp(`^visitors\\s+${number}(?:\\s+(?:zipf\\s+(\\d+(?:\\.\\d+)?)|uniform))?$`),
    'visitors 500k zipf 1.1',
    (draft, [digits, unit, exponent = '0']) => {
      const count = Math.round(amount(digits, unit))
      if (count < 1 || count > mostVisitors) return `must be from 1 to ${mostVisitors} visitors`
      if (Number(exponent) > 5) return 'has an exponent above 5'
      draft.visitors = [count, Number(exponent)]
      return undefined
    },
  ],
  [
    'attributes',
    /^attributes\s+(\d+)(?:\s+of\s+(\d+))?$/,
    'attributes 1 of 3',
    (draft, [count, of = count]) => {
      const [names, all] = [Number(count), Number(of)]
      if (names < 1 || names > all) return 'must be at least 1, and no more than there are'
      if (all > mostNames && names < all) return `must be of ${mostNames} names at most`
      draft.attributes = [names, all]
      return undefined
    },
  ],
  [
    'unchanged',
    /^unchanged\s+(\d+(?:\.\d+)?)\s*%$/,
    'unchanged 40%',
    (draft, [percent]) => {
      draft.unchanged = Number(percent) / 100
      return draft.unchanged > 1 ? 'must be from 0% to 100%' : undefined
    },
  ],
]

/** @param text parts between commas; a problem names its part and shows how it is written */
export function readShape(text: string): ReadShape {
  const draft: Draft = { batches: [] }
  const given = text.split(',').map((part) => part.trim())
  for (const part of given) {
    const problem = readPart(draft, part)
    if (problem !== undefined) return { ok: false, problem }
  }
  const inBatches = draft.batches.reduce((sum, { updates }) => sum + updates, 0)
  const perDay = draft.perDay ?? inBatches
  if (perDay <= 0) return { ok: false, problem: 'says no number of updates: write how many a day, as 2M/day' }
  if (inBatches > perDay)
    return { ok: false, problem: `has more updates in its batches (${inBatches}) than in a day (${perDay})` }
  const [fromMs, toMs] = draft.between ?? [0, dayMs]
  const [visitors, exponent] = draft.visitors ?? [Math.max(1, Math.round(perDay)), 0]
  const [attributes, ofAttributes] = draft.attributes ?? [1, 1]
  const { batches, unchanged } = draft
  return {
    ok: true,
    shape: {
      ...{ perDay, batches, fromMs, toMs, visitors, exponent, attributes, ofAttributes },
      ...(unchanged === undefined ? {} : { unchanged }),
    },
  }
}

function readPart(draft: Draft, part: string): string | undefined {
  if (part === '') return 'has an empty part: take out the comma'
  for (const [name, form, example, read] of parts) {
    const groups = form.exec(part)?.slice(1)
    if (groups === undefined) continue
    if (name !== 'batches' && draft[name] !== undefined) return `says "${part}", and another ${example} before it`
    const problem = read(draft, groups)
    return problem === undefined ? undefined : `"${part}" ${problem}`
  }
  const [word = ''] = /^[a-z]+/.exec(part) ?? []
  const near = parts.find(([, , example]) => word !== '' && example.startsWith(word))
  return near === undefined
    ? `"${part}" is none of: ${parts.map(([, , example]) => example).join(', ')}`
    : `"${part}" is not understood: write it as "${near[2]}"`
}

function amount(digits = '', unit = ''): number {
  return Number(digits.replaceAll('_', '')) * (unit === 'M' ? 1_000_000 : unit === 'k' ? 1_000 : 1)
}

function timeOf(hours = '', minutes = ''): number | undefined {
  const [h, m] = [Number(hours), Number(minutes)]
  return h < 24 && m < 60 ? h * hourMs + m * minuteMs : undefined
}

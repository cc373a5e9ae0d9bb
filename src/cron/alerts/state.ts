/**
 * Which alerts are raised, and which of them the receiver was told: plain data, kept as a memo of the ledger.
 *
 * What is still to be told follows from it alone. So it is kept before anything is sent, and what a run that died had
 * sent is sent again under the same id.
 */
import { given } from '../../core/given.ts'
import { type AlertMessage, type AlertState, alertTypes, type Condition, nameOf, type Occurrence } from './alert.ts'

export const noAlerts: AlertState = { raised: {} }

/**
 * The state once the conditions are known; the same object where nothing has changed.
 *
 * What began again before its end was told has gone on for the receiver.
 */
export function advanced(state: AlertState, conditions: readonly Condition[], nowMs: number): AlertState {
  const raised: Record<string, Occurrence> = { ...state.raised }
  let changed = false
  for (const condition of conditions) {
    const { type, level, source, holds, data } = condition
    const name = nameOf(condition)
    const known = raised[name]
    if (holds === (known !== undefined && known.overMs === undefined) || (!holds && known === undefined)) continue
    if (known === undefined) raised[name] = { type, ...given({ level, source }), sinceMs: nowMs, data }
    else if (holds) {
      const { overMs: _, ...goesOn } = known
      raised[name] = goesOn
    } else if (known.overMs === undefined) raised[name] = { ...known, overMs: nowMs }
    else continue
    changed = true
  }
  return changed ? { ...state, raised } : state
}

/** The occurrences that began between two states, and those that ended. */
export function transitions(before: AlertState, after: AlertState) {
  const isOn = ({ raised }: AlertState, name: string) => raised[name] !== undefined && raised[name].overMs === undefined
  const all = Object.entries(after.raised)
  return {
    began: all.flatMap(([name, one]) => (isOn(after, name) && !isOn(before, name) ? [one] : [])),
    ended: all.flatMap(([name, one]) => (!isOn(after, name) && isOn(before, name) ? [one] : [])),
  }
}

/** What the receiver does not know yet: first that something began, then that it is over. */
export function untold({ raised }: AlertState): readonly { readonly name: string; readonly message: AlertMessage }[] {
  return Object.entries(raised).flatMap(([name, occurrence]) => {
    const { told, overMs, sinceMs } = occurrence
    const message = (recovered: boolean, atMs: number) => ({
      name,
      message: messageOf(name, occurrence, recovered, atMs),
    })
    return [
      ...(told === true ? [] : [message(false, sinceMs)]),
      ...(overMs === undefined ? [] : [message(true, overMs)]),
    ]
  })
}

function messageOf(name: string, occurrence: Occurrence, recovered: boolean, atMs: number): AlertMessage {
  const { type, level, source, sinceMs, data } = occurrence
  const id = `alert_${name.replace(/[^A-Za-z0-9]+/g, '_')}_${sinceMs}${recovered ? '_recovered' : ''}`
  return {
    id,
    type,
    recovered,
    atMs,
    data: { ...given({ level, source }), ...data, since: new Date(sinceMs).toISOString() },
  }
}

/** The state once the receiver has been told. */
export function afterTold(state: AlertState, name: string, { recovered }: Pick<AlertMessage, 'recovered'>): AlertState {
  const { [name]: occurrence, ...others } = state.raised
  if (occurrence === undefined) return state
  return { ...state, raised: recovered ? others : { ...others, [name]: { ...occurrence, told: true } } }
}

/** What an earlier run kept. What this version does not know is left out. */
export function readAlerts(text: string | undefined): AlertState {
  try {
    const { raised = {}, dead } = JSON.parse(text ?? '{}') as Partial<AlertState>
    const known = Object.entries(raised).filter(
      ([, { type, sinceMs }]) => alertTypes.includes(type) && typeof sinceMs === 'number',
    )
    return { raised: Object.fromEntries(known), ...given({ dead }) }
  } catch {
    return noAlerts
  }
}

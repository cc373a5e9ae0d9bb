/**
 * What `target-relay dev` shows of the relay's output. Of wrangler's own it keeps problems, requests and reloads, and drops
 * what is untrue here: that nothing triggers the cron.
 */

/** @returns what is to be shown of each line; `isReady` once the relay answers */
export interface Output {
  readonly isReady: boolean
  /** Undefined where the line is not shown. */
  show(line: string): string | undefined
}

const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')
/** The relay's own questions, and the ticks of the cron. */
const ownRequest = /^(GET|HEAD) \/(healthz|cdn-cgi\/)/
const untrue = /Scheduled Workers are not automatically triggered/

export function createOutput(): Output {
  let isReady = false
  /** Whether indented lines belong to a problem that is shown, or to one that is not. */
  let block: 'shown' | 'hidden' | undefined
  return {
    get isReady() {
      return isReady
    },
    show(line) {
      const plain = line.replace(colours, '').trimEnd()
      if (plain === '') return undefined
      if (/^\s/.test(plain) && block !== undefined) return block === 'shown' ? plain : undefined
      block = undefined
      const [, level, what = ''] = /^[▲✘X] \[(WARNING|ERROR)\] (.*)$/.exec(plain) ?? []
      if (level !== undefined) {
        // A line of the relay's log at this level.
        if (what.startsWith('{')) return what
        block = untrue.test(what) ? 'hidden' : 'shown'
        return block === 'shown' ? plain : undefined
      }
      const [, info] = /^\[wrangler:info\] (.*)$/.exec(plain) ?? []
      if (info !== undefined) {
        if (info.startsWith('Ready on ')) isReady = true
        return info.startsWith('Ready on ') || ownRequest.test(info) ? undefined : info
      }
      return isReady && !isIdleFlush(plain) ? plain : undefined
    },
  }
}

/** The report of a run that found nothing, every few seconds. */
function isIdleFlush(line: string): boolean {
  return line.includes('"event":"flush"') && line.includes('"read":0,')
}

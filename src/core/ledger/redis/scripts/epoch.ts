/**
 * The epoch that a ledger on Redis lives in (`sql/epoch.ts` on SQL), in the hash of the quota: `e` the epoch, `l` when
 * state was lost, `r` the epochs that were replaced.
 */
import { window } from './window.ts'

/**
 * KEYS: quota.
 * Answers the current life, { epoch, granted }; null where there is none.
 */
export const lifeScript = /* lua */ `${window}
local window = openWindow(KEYS[1])
if not window.epoch then return 'null' end
return cjson.encode({ epoch = window.epoch, granted = window.granted })
`

/**
 * Begins an epoch, unless the current one is to stay.
 *
 * KEYS: quota.
 * Input: epoch, lost, after?, limit.
 * Answers the life that is current then.
 */
export const beginScript = /* lua */ `${window}
local window = openWindow(KEYS[1])
local replaced = redis.call('HGET', KEYS[1], 'r') or ','
local function wasReplaced(epoch) return epoch and string.find(replaced, ',' .. epoch .. ',', 1, true) end
if window.epoch and (not input.lost or window.epoch == input.epoch or wasReplaced(input.after)) then
  return cjson.encode({ epoch = window.epoch, granted = window.granted })
end
for _, epoch in ipairs({ input.after or '', window.epoch or '' }) do
  if epoch ~= '' then replaced = replaced .. epoch .. ',' end
end
if input.lost then window:charge(math.max(0, input.limit - window.total)) end
-- Behind the charge: an epoch without it would open the quota.
redis.call('HSET', KEYS[1], 'v', text(input.format), 'e', input.epoch,
  'l', text(input.lost and now + input.slackMs or window.lost), 'r', replaced)
return cjson.encode({ epoch = input.epoch, granted = window.granted })
`

/**
 * Counts units as granted up to `granted`.
 *
 * KEYS: quota. Input: granted. Answers null.
 */
export const chargeScript = /* lua */ `${window}
local window = openWindow(KEYS[1])
if not window.epoch or window.granted >= input.granted then return 'null' end
-- Before the charge, behind which nobody would come back for it.
redis.call('HSET', KEYS[1], 'l', text(now + input.slackMs))
window:charge(input.granted - window.granted)
return 'null'
`

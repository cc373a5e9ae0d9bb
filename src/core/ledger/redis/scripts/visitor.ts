/** One visitor on Redis: what is known of it, and its erasure. */
import { registers } from './registers.ts'
import { rows } from './rows.ts'
import { window } from './window.ts'

/**
 * One step over a visitor's registers, with at least `together` of them where there are as many.
 *
 * KEYS: the visitor.
 * Input: `scan`, where the head is scanned, or `page`, the first page to look into; together.
 * Answers { known, scan?, page? }: the registers, and where the next step begins.
 */
export const visitorScript = /* lua */ `${window}${registers}${rows}
local known, scan, page = {}, nil, input.page
local function list(fields)
  eachRegister(fields, function(name, r) known[#known + 1] = { name = name, done = r.done, open = r.open } end)
end
if input.scan then
  local found = redis.call('HSCAN', KEYS[1], input.scan, 'COUNT', text(input.together))
  list(found[2])
  if found[1] ~= '0' then scan = found[1] elseif redis.call('HEXISTS', KEYS[1], 'p') == 1 then page = 0 end
else
  while page < input.pages and #known < input.together do
    list(redis.call('HGETALL', KEYS[1] .. ':' .. text(page)))
    page = page + 1
  end
  if page == input.pages then page = nil end
end
return cjson.encode({ known = known, scan = scan, page = page })
`

/**
 * Forgets all of a visitor but that it was erased now.
 *
 * KEYS: the whole account, the visitor. Answers whether it did: it does nothing while the clock is off.
 */
export const eraseScript = /* lua */ `${window}
if openWindow(KEYS[1]).jumpedBy then return 'false' end
-- Most visitors have none; UNLINK frees what it removes behind the script's back.
if redis.call('HEXISTS', KEYS[2], 'p') == 1 then
  for page = 0, input.pages - 1 do redis.call('UNLINK', KEYS[2] .. ':' .. text(page)) end
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[2], 'x', text(now))
extend(KEYS[2], input.retentionMs)
return 'true'
`

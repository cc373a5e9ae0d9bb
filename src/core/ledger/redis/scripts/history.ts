/**
 * The rules of `rules/history.ts` in Lua, under the same names. A visitor's time line is in the fields `h` and `i` of its
 * head: a hash with a value of more than 64 bytes takes twice the memory.
 *
 * After `rows.ts`.
 */
export const history = /* lua */ `
local function base36(number)
  local sign, text = number < 0 and '-' or '', ''
  number = math.abs(number)
  repeat
    local digit = number % 36
    text = string.sub('0123456789abcdefghijklmnopqrstuvwxyz', digit + 1, digit + 1) .. text
    number = math.floor(number / 36)
  until number == 0
  return sign .. text
end
local function fromBase36(text)
  local sign, digits = string.match(text, '^(-?)(%w+)$')
  return (sign == '-' and -1 or 1) * tonumber(digits, 36)
end
local function historyOf(text)
  local words, all, last = {}, {}, 0
  local head, tail = string.match(text, '^([^|]*)|(.*)$')
  for word in string.gmatch(head or '', '[^ ]+') do words[#words + 1] = word end
  for one in string.gmatch(tail or '', '[^ ]+') do
    local kind, digit, source, names, time, after =
      string.match(one, '^(%l)(%d?)([%u.])(%u*)(-?[%d%l]+)~?(-?[%d%l]*)$')
    if kind then
      last = last + fromBase36(time)
      local found = {}
      for letter in string.gmatch(names, '%u') do found[#found + 1] = words[string.byte(letter) - 64] end
      all[#all + 1] = { kind = kind, digit = digit, source = words[string.byte(source) - 64], names = found, at = last,
        after = after == '' and 0 or fromBase36(after) }
    end
  end
  return all
end
local function isWord(word)
  return #word <= 32 and word ~= '' and not string.find(word, '[^!-~]') and not string.find(word, '["\\\\|]')
end
local function isAlike(kept, added)
  local names = {}
  for _, name in ipairs(added.names) do
    if isWord(name) then names[#names + 1] = name end
  end
  return kept.kind == added.kind and kept.digit == added.digit and kept.at - kept.after == added.at - added.after
    and (kept.source or added.source) == added.source
    and (#kept.names == 0 or table.concat(kept.names, ' ') == table.concat(names, ' '))
end
local function historyText(all)
  local words, letters, tail, last = {}, {}, {}, 0
  local function letterOf(word)
    if not isWord(word) then return '' end
    if not letters[word] then
      if #words == 26 then return '' end
      words[#words + 1] = word
      letters[word] = string.char(64 + #words)
    end
    return letters[word]
  end
  for place, one in ipairs(all) do
    local refs = one.source and letterOf(one.source) or ''
    if refs == '' then refs = '.' end
    for _, name in ipairs(one.names) do refs = refs .. letterOf(name) end
    tail[place] = one.kind .. one.digit .. refs .. base36(one.at - last)
      .. (one.after ~= 0 and '~' .. base36(one.after) or '')
    last = one.at
  end
  return table.concat(words, ' ') .. '|' .. table.concat(tail, ' ')
end
local function noted(kept, note, received)
  local all, at = historyOf(kept), math.floor(now / 1000)
  local added = { kind = note.kind, digit = note.digit and text(note.digit) or '', source = note.source,
    names = note.names, at = at, after = at - math.floor(received / 1000) }
  for _, one in ipairs(all) do
    if isAlike(one, added) then return kept end
  end
  all[#all + 1] = added
  if #all > input.happeningsKept then table.remove(all, 1) end
  for part = 1, 2 do
    for _, one in ipairs(all) do
      if #historyText(all) <= input.historyBytes then break end
      one.names = {}
      if part == 2 then one.source = nil end
    end
  end
  return historyText(all)
end
-- What came in before the visitor was erased leaves no trace.
local function writeNote(visitor, note)
  local received = stampArrival(note.stamp)
  if received <= (readErased(visitor) or 0) then return end
  local kept = redis.call('HMGET', visitor, 'h', 'i')
  local after = noted((kept[1] or '') .. (kept[2] or ''), note, received)
  redis.call('HSET', visitor, 'h', string.sub(after, 1, 64), 'i', string.sub(after, 65))
  extend(visitor, input.retentionMs)
end
`

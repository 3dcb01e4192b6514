-- Accept observed answers: write those that are newer than the stored ones into one entry of `changes` and, with that
-- entry's id as revision, into `answers`. Values are in the stored layout, with revision zero.
-- Returns {id of the entry or false, refused user ids}.
-- uses: lease, append, layout
local lease = KEYS[1]  -- the partition's lease
local answers = KEYS[2]  -- user id -> stored answer
local changes = KEYS[3]
local changes_head = KEYS[4]
local epoch = KEYS[5]
local lease_value = ARGV[1]
local changes_length = ARGV[2]  -- entries that `changes` keeps, about
local tenant_id = ARGV[3]
local demanded = ARGV[4]  -- the epoch that must still be in force; empty: any
local trace = ARGV[5]  -- see `append`
local first_pair = 6  -- ARGV[6...]: (user id, value) pairs

if not holds_lease() then
  return lease_lost()
end
if demanded ~= '' then
  -- The epoch contains the history of the server on which it began: an epoch of another server is not valid here.
  local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  local random = string.match(demanded, '^[^.]*')
  local declared = random .. '.' .. redis.sha1hex(random .. '.' .. replid)
  if redis.call('GET', epoch) ~= demanded or demanded ~= declared then
    return redis.error_reply('HISTORYLOST the epoch is over')
  end
end

-- Lua's < follows the server's locale; sequence numbers are compared byte by byte.
local function greater(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

local function sequence(value, length)
  return string.sub(value, HEAD_BYTES + 1, HEAD_BYTES + length)
end

-- Return whether `new` is newer than `old`, and the order to store with it.
local function newer(old, new)
  local _, _, new_fence, new_poll, source, new_length = struct.unpack(HEAD, new)
  if not old then
    return source ~= NOTIFICATION, new_fence, new_poll
  end
  local _, _, fence, poll, _, length = struct.unpack(HEAD, old)
  local later = new_fence > fence or (new_fence == fence and new_poll > poll)
  local keep_fence, keep_poll = fence, poll
  if later then
    keep_fence, keep_poll = new_fence, new_poll
  end
  if length > 0 and new_length > 0 then
    local new_number, number = sequence(new, new_length), sequence(old, length)
    local is_greater = greater(new_number, number)
    if is_greater or (new_number ~= number and source ~= RESTARTS) then
      return is_greater, keep_fence, keep_poll
    end
  end
  return later and source ~= NOTIFICATION, keep_fence, keep_poll
end

local fields, values, refused = {'a', tenant_id}, {}, {}
for first = first_pair, #ARGV, 2 * CHUNK do
  local last = math.min(first + 2 * CHUNK - 2, #ARGV - 1)
  local ids = {}
  for i = first, last, 2 do
    ids[#ids + 1] = ARGV[i]
  end
  local stored = redis.call('HMGET', answers, unpack(ids))
  for n, id in ipairs(ids) do
    local value = ARGV[first + 2 * n - 1]
    local passes, fence, poll = newer(stored[n], value)
    if passes then
      local _, _, _, _, source, length = struct.unpack(HEAD, value)
      source = source == RESTARTS and POLL or source
      values[#values + 1] = id
      values[#values + 1] = struct.pack('>I4I8BB', fence, poll, source, length) .. string.sub(value, HEAD_BYTES + 1)
      fields[#fields + 1] = id
      fields[#fields + 1] = string.sub(value, HEAD_BYTES + length + 1)
    else
      refused[#refused + 1] = id
    end
  end
end
if #values == 0 then
  return {false, refused}
end

local id = append(changes, changes_head, changes_length, fields, trace)
local ms, seq = string.match(id, '^(%d+)-(%d+)$')
local revision = struct.pack('>I8I4', tonumber(ms), tonumber(seq))
for i = 2, #values, 2 do
  values[i] = revision .. values[i]
end
for first = 1, #values, 2 * CHUNK do
  redis.call('HSET', answers, unpack(values, first, math.min(first + 2 * CHUNK - 1, #values)))
end
return {id, refused}

-- Register a live worker and its partitions, or remove a worker that stops, and return the table of all workers:
-- {now, live, owners, loads}, times in ms by this server's clock, the others as HGETALL returns them.
-- Values that no release of the relay can have written are deleted.
local live = KEYS[1]  -- worker -> 'until since ttl'
local owners = KEYS[2]  -- partition -> worker
local loads = KEYS[3]  -- partition -> 'users notifications'
local changed = KEYS[4]  -- stream
local worker = ARGV[1]
local ttl_ms = ARGV[2]  -- 0: the worker stops
local announce = ARGV[3]  -- 1: notify the other workers at once
local entries = ARGV[4]  -- of the stream, about
local first_pair = 5  -- ARGV[5...]: (partition, load) pairs of its partitions; an empty load keeps the stored one

local function fields_of(hash)
  local found = redis.pcall('HGETALL', hash)
  if found.err then
    redis.call('UNLINK', hash)
    return {}
  end
  return found
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local since_ms = now_ms
local registered = fields_of(live)
for i = 1, #registered, 2 do
  local ends_ms, began_ms, span_ms = string.match(registered[i + 1], '^(%d+) (%d+) (%d+)')
  -- An entry with an end further away than its span was written before the clock was set back.
  if not ends_ms or tonumber(ends_ms) <= now_ms or tonumber(ends_ms) > now_ms + tonumber(span_ms) then
    redis.call('HDEL', live, registered[i])
  elseif registered[i] == worker then
    since_ms = began_ms
  end
end
if tonumber(ttl_ms) > 0 then
  redis.call('HSET', live, worker, string.format('%.0f %.0f %.0f', now_ms + ttl_ms, since_ms, ttl_ms))
else
  redis.call('HDEL', live, worker)
end

local function by_name(fields)
  local found = {}
  for i = 1, #fields, 2 do
    found[fields[i]] = fields[i + 1]
  end
  return found
end

-- Write only changed fields: most beats change one field.
local known_owners, known_loads, owned = by_name(fields_of(owners)), by_name(fields_of(loads)), {}
for i = first_pair, #ARGV, 2 do
  local partition, load = ARGV[i], ARGV[i + 1]
  owned[partition] = true
  if known_owners[partition] ~= worker then
    redis.call('HSET', owners, partition, worker)
  end
  if load ~= '' and known_loads[partition] ~= load then
    redis.call('HSET', loads, partition, load)
  end
end
for partition, owner in pairs(known_owners) do
  if owner == worker and not owned[partition] then
    redis.call('HDEL', owners, partition)
  end
end

if announce == '1' and redis.pcall('XADD', changed, 'MAXLEN', '~', entries, '*', 'w', worker).err then
  redis.call('UNLINK', changed)
  redis.call('XADD', changed, 'MAXLEN', '~', entries, '*', 'w', worker)
end
return {now_ms, redis.call('HGETALL', live), redis.call('HGETALL', owners), redis.call('HGETALL', loads)}

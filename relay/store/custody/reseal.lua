-- Replace a value with the same value, sealed under another key of the ring. Version and expiry do not change. Returns
-- 0 if the value has changed since it was read.
local key = KEYS[1]
local field = ARGV[1]  -- empty: the value is the key's own
local old = ARGV[2]
local new = ARGV[3]

local found
if field == '' then
  found = redis.call('GET', key)
else
  found = redis.call('HGET', key, field)
end
if found ~= old then
  return 0
end
if field == '' then
  redis.call('SET', key, new, 'KEEPTTL')
else
  redis.call('HSET', key, field, new)
end
return 1

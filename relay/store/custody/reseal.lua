-- Put the same value, sealed under another key of the ring, in the place of what was read. It is no new version, and what expires
-- does so when it would have. Returns 0 when something else is there by now.
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

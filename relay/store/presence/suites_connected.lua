-- KEYS: connected suites of a tenant  ARGV: edge, what it says (empty: no stream any more), for how long it counts in ms
-- What other edges said is dropped once it does not count any more: a process that was killed says no goodbye.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, edge in ipairs(redis.call('HKEYS', KEYS[1])) do
  local said = redis.call('HGET', KEYS[1], edge)
  if now - tonumber(string.match(said, '^%d+')) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], edge)
  end
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[3])

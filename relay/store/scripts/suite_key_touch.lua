-- KEYS: suite key  ARGV: now in ms, least distance to the last touch in ms
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local last = tonumber(redis.call('HGET', KEYS[1], 'last_used') or '0')
if ARGV[1] - last < tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'last_used', ARGV[1])
return 1

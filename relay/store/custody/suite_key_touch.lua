-- KEYS: use of a suite key  ARGV: now in ms, least distance to the last touch in ms, the same when the program changed, its
-- name, its version, the suite key (in the same slot; whoever touches it may read it only)
if redis.call('EXISTS', ARGV[6]) == 0 then
  return 0
end
local known = redis.call('HMGET', KEYS[1], 'last_used', 'client', 'client_version')
local changed = (known[2] or '') ~= ARGV[4] or (known[3] or '') ~= ARGV[5]
if ARGV[1] - tonumber(known[1] or '0') < tonumber(changed and ARGV[3] or ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'last_used', ARGV[1], 'client', ARGV[4], 'client_version', ARGV[5])
return 1

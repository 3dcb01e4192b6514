-- KEYS: arrived, pending
-- ARGV: tenant, now, an hour ago, most arrived, most pending, until when it waits (0: it does not); times in ms
-- Returns '' when the place is taken (or was before), or which bound is reached: 'hourly' or 'pending'.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
local came = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not came and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  return 'hourly'
end
if ARGV[6] ~= '0' then
  if not redis.call('ZSCORE', KEYS[2], ARGV[1]) and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
    return 'pending'
  end
  redis.call('ZADD', KEYS[2], 'NX', ARGV[6], ARGV[1])
end
redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1])
return ''

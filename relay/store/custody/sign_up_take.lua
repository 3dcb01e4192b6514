-- Take a place for a tenant that signs up without an invitation. Returns '' if it has a place, or the limit that is
-- reached: 'hourly' or 'pending'. All times are in ms.
local arrived = KEYS[1]  -- tenant -> time of its sign-up
local pending = KEYS[2]  -- tenant -> end of its wait
local tenant_id = ARGV[1]
local now_ms = ARGV[2]
local hour_ago_ms = ARGV[3]
local most_arrived = ARGV[4]
local most_pending = ARGV[5]
local waits_until_ms = ARGV[6]  -- 0: it does not wait

redis.call('ZREMRANGEBYSCORE', arrived, '-inf', hour_ago_ms)
local came = redis.call('ZSCORE', arrived, tenant_id)
if not came and redis.call('ZCARD', arrived) >= tonumber(most_arrived) then
  return 'hourly'
end
if waits_until_ms ~= '0' then
  if not redis.call('ZSCORE', pending, tenant_id) and redis.call('ZCARD', pending) >= tonumber(most_pending) then
    return 'pending'
  end
  redis.call('ZADD', pending, 'NX', waits_until_ms, tenant_id)
end
redis.call('ZADD', arrived, 'NX', now_ms, tenant_id)
return ''

-- KEYS: lease, fence  ARGV: nonce, worker, ttl in ms
-- Takes a free lease with the next fencing token; nil when it is held.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return nil
end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], fence .. ':' .. ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return fence

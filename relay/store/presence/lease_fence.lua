-- uses: lease
-- KEYS: lease, fence  ARGV: lease value, nonce of its successor, worker, ttl in ms
-- Puts another ownership of the same worker in the place of the lease; nil when the lease is over. Run again with the same nonce
-- it only renews, so that it may be repeated when no answer came.
local successor = ':' .. ARGV[2] .. ':' .. ARGV[3]
local current = redis.call('GET', KEYS[1])
if current and string.sub(current, -#successor) == successor then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return tonumber(string.match(current, '^%d+'))
end
if not holds(KEYS[1], ARGV[1]) then
  return nil
end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], fence .. successor, 'PX', ARGV[4])
return fence

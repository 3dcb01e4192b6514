-- Put another ownership of the same worker in the place of its lease. Returns the new fencing token; nil when the lease is over.
-- Run again with the same nonce it only renews, so that it may be repeated when no answer came.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local fence = KEYS[2]  -- counter of fencing tokens
local lease_value = ARGV[1]
local nonce = ARGV[2]  -- of the new ownership
local worker = ARGV[3]
local ttl_ms = ARGV[4]

local successor = ':' .. nonce .. ':' .. worker
local current = redis.pcall('GET', lease)
if type(current) == 'string' and string.sub(current, -#successor) == successor then
  redis.call('PEXPIRE', lease, ttl_ms)
  return tonumber(string.match(current, '^%d+'))
end
if not holds_lease() then
  return nil
end
local token = redis.call('INCR', fence)
redis.call('SET', lease, token .. successor, 'PX', ttl_ms)
return token

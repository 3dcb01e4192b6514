-- Replace a lease with a new one of the same worker. Returns the new fencing token; nil if the lease is not in force. A
-- second run with the same nonce only renews the new lease, so that the call can be repeated after a lost reply.
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

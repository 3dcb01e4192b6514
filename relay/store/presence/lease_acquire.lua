-- KEYS: lease, fence, inbox head, epoch  ARGV: nonce, worker, ttl in ms
-- Takes a free lease with the next fencing token. Run again with the same nonce it only renews, so that it may be repeated when no
-- answer came. Returns {fence, newest hint, epoch, the server's history}, or {nil, ms until the lease expires} when another has it.
local own = ':' .. ARGV[1] .. ':' .. ARGV[2]
local current = redis.call('GET', KEYS[1])
local fence
if not current then
  fence = redis.call('INCR', KEYS[2])
  redis.call('SET', KEYS[1], fence .. own, 'PX', ARGV[3])
elseif string.sub(current, -#own) == own then
  fence = tonumber(string.match(current, '^%d+'))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  return {false, redis.call('PTTL', KEYS[1])}
end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
return {fence, redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4]), replid}

-- Take a free lease with the next fencing token. A second run with the same nonce only renews it, so that the call can
-- be repeated after a lost reply. Returns {fence, newest hint, epoch, the server's history, former owner's fencing
-- token and position}. If another owner has the lease: {nil, ms until it expires, or -1 if it never does}. If lease or
-- counter hold a value that the relay cannot have written: {nil, 'blocked'}.
local lease = KEYS[1]  -- the partition's lease
local fence = KEYS[2]  -- counter of fencing tokens
local inbox_head = KEYS[3]
local epoch = KEYS[4]
local handover = KEYS[5]
local nonce = ARGV[1]
local worker = ARGV[2]
local ttl_ms = ARGV[3]

local function is_foreign(reply)
  local fault = type(reply) == 'table' and reply.err or ''
  return string.find(fault, 'WRONGTYPE', 1, true) or string.find(fault, 'not an integer', 1, true)
end

local own = ':' .. nonce .. ':' .. worker
local current = redis.pcall('GET', lease)
local token
if is_foreign(current) then
  return {false, 'blocked'}
elseif not current then
  token = redis.pcall('INCR', fence)
  if is_foreign(token) then
    return {false, 'blocked'}
  elseif type(token) == 'table' then
    return token
  end
  redis.call('SET', lease, token .. own, 'PX', ttl_ms)
elseif type(current) == 'table' then
  return current
elseif string.sub(current, -#own) == own then
  token = tonumber(string.match(current, '^%d+'))
  redis.call('PEXPIRE', lease, ttl_ms)
else
  return {false, redis.call('PTTL', lease)}
end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local left = redis.pcall('HGET', handover, '')
return {token, redis.call('GET', inbox_head), redis.call('GET', epoch), replid, type(left) == 'string' and left}

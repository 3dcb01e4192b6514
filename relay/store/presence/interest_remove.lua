-- uses: append, hint, layout, shared
-- KEYS: interest, edges, inbox, head, pending, shared  ARGV: edge, tenant, limit, maxlen, hint, prefix, names
local sets = others(KEYS[2], KEYS[6], ARGV[6], ARGV[1])
local elsewhere = count_elsewhere(KEYS[1], sets, 7, 1)
for first = 7, #ARGV, CHUNK do
  redis.call('SREM', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
if elsewhere > 0 then
  redis.call('HINCRBY', KEYS[6], ARGV[1], -elsewhere)
end
local count = redis.call('SCARD', KEYS[1])
if count == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
  local share = redis.call('HGET', KEYS[6], ARGV[1])
  if #sets == 0 then
    redis.call('DEL', KEYS[6])
  elseif share then
    redis.call('HDEL', KEYS[6], ARGV[1])
    redis.call('HINCRBY', KEYS[6], REST, share)
  end
end
if ARGV[5] ~= '' then
  hint(KEYS[3], KEYS[4], KEYS[5], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
end
return count

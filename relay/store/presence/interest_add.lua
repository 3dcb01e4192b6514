-- uses: append, hint, layout, shared
-- KEYS: interest, edges, inbox, head, pending, shared
-- ARGV: ttl in ms, edge, tenant, limit, maxlen, hint or empty, prefix, most names or 0, names
-- Returns -1, and adds none, if the tenant would watch more distinct names than it may. Names that another edge has are not more.
local sets = others(KEYS[2], KEYS[6], ARGV[7], ARGV[2])
if #sets == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[6])  -- what is left of edges that were there
end
local elsewhere, nowhere = count_elsewhere(KEYS[1], sets, 9, 0)
local most = tonumber(ARGV[8])
if most > 0 and nowhere > 0 and distinct(KEYS[1], sets, KEYS[6]) + nowhere > most then
  return -1
end
for first = 9, #ARGV, CHUNK do
  redis.call('SADD', KEYS[1], unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
if elsewhere > 0 then
  redis.call('HINCRBY', KEYS[6], ARGV[2], elsewhere)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
if ARGV[6] ~= '' then
  hint(KEYS[3], KEYS[4], KEYS[5], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
end
return redis.call('SCARD', KEYS[1])

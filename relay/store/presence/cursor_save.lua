-- uses: lease
-- KEYS: lease, cursor, inbox, pending  ARGV: lease value, position, limit
-- Saves the position, drops what lies before it, and returns the tenants of which hints were left out since the last save.
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
local time = redis.call('TIME')
redis.call('SET', KEYS[2], ARGV[2] .. ' ' .. time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('XTRIM', KEYS[3], 'MINID', '~', ARGV[2])
local missed = {}
local counts = redis.call('HGETALL', KEYS[4])
for i = 1, #counts, 2 do
  if tonumber(counts[i + 1]) > tonumber(ARGV[3]) then
    missed[#missed + 1] = counts[i]
  end
end
redis.call('UNLINK', KEYS[4])
return missed

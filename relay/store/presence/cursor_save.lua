-- Save the worker's position in the inbox and delete the hints before it. Returns the tenants with omitted hints since
-- the last save.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local cursor = KEYS[2]
local inbox = KEYS[3]
local inbox_pending = KEYS[4]  -- tenant -> hints since the last save
local lease_value = ARGV[1]
local position = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant between two saves

if not holds_lease() then
  return lease_lost()
end
local time = redis.call('TIME')
redis.call('SET', cursor, position .. ' ' .. time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('XTRIM', inbox, 'MINID', '~', position)
local missed = {}
local counts = redis.call('HGETALL', inbox_pending)
for i = 1, #counts, 2 do
  if tonumber(counts[i + 1]) > tonumber(most_hints) then
    missed[#missed + 1] = counts[i]
  end
end
redis.call('UNLINK', inbox_pending)
return missed

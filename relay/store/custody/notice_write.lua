-- Write notices of a tenant, up to its hourly limit. Returns how many were written.
local notices = KEYS[1]
local written_this_hour = KEYS[2]  -- tenant -> how many
local tenant_id = ARGV[1]
local most_an_hour = ARGV[2]
local hour_s = ARGV[3]
local first_pair = 4  -- ARGV[4...]: (notice id, notice) pairs

local written = 0
for i = first_pair, #ARGV, 2 do
  if redis.call('HINCRBY', written_this_hour, tenant_id, 1) > tonumber(most_an_hour) then
    break
  end
  redis.call('HSET', notices, ARGV[i], ARGV[i + 1])
  written = written + 1
end
if redis.call('TTL', written_this_hour) == -1 then
  redis.call('EXPIRE', written_this_hour, hour_s)
end
return written

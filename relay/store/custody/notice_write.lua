-- KEYS: notices, letters within the hour
-- ARGV: tenant id, most of a tenant in an hour, the hour's seconds, n times (notice id, notice)
-- Returns how many were written; what is beyond the hour's bound is left out.
local written = 0
for i = 4, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[2], ARGV[1], 1) > tonumber(ARGV[2]) then
    break
  end
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  written = written + 1
end
if redis.call('TTL', KEYS[2]) == -1 then
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end
return written

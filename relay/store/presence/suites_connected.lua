-- Store the suites with open streams at one edge. Expired reports of other edges are deleted too, because a killed edge
-- cannot delete its own.
local connected = KEYS[1]  -- edge -> "<ms> <suites>", of one tenant
local edge = ARGV[1]
local suites = ARGV[2]  -- empty: no open stream
local counts_for_ms = ARGV[3]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, other in ipairs(redis.call('HKEYS', connected)) do
  local written = redis.call('HGET', connected, other)
  if now - tonumber(string.match(written, '^%d+')) > tonumber(counts_for_ms) then
    redis.call('HDEL', connected, other)
  end
end
if suites == '' then
  redis.call('HDEL', connected, edge)
else
  redis.call('HSET', connected, edge, string.format('%.0f', now) .. ' ' .. suites)
end
return redis.call('PEXPIRE', connected, counts_for_ms)

-- KEYS: tenant, log  ARGV: oldest id, expiry in ms, then id, kind, subject, body of each entry, oldest first
-- Fills the log of a tenant that is not there; its own ids make it repeatable. Returns 0 for a tenant that is there.
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then
  return 0
end
local function place(id)
  local ms, number = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(number)
end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local top_ms, top_number = place(newest and newest[1] or '0-0')
local oldest_ms = place(ARGV[1])
for i = 3, #ARGV, 4 do
  local ms, number = place(ARGV[i])
  if ms >= oldest_ms and (ms > top_ms or (ms == top_ms and number > top_number)) then
    redis.call('XADD', KEYS[2], ARGV[i], 'k', ARGV[i + 1], 's', ARGV[i + 2], 'e', ARGV[i + 3])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1

-- Fill the audit log of a tenant that does not exist. The entries keep their ids, so the call can be repeated. Returns
-- 0 if the tenant exists.
local tenant = KEYS[1]
local audit_log = KEYS[2]
local oldest = ARGV[1]  -- id; older entries are skipped
local ttl_ms = ARGV[2]
local first_entry = 3  -- ARGV[3...]: id, kind, subject and body of each entry, oldest first

if redis.call('HEXISTS', tenant, 'state') == 1 then
  return 0
end
local function place(id)
  local ms, number = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(number)
end
local newest = redis.call('XREVRANGE', audit_log, '+', '-', 'COUNT', 1)[1]
local top_ms, top_number = place(newest and newest[1] or '0-0')
local oldest_ms = place(oldest)
for i = first_entry, #ARGV, 4 do
  local ms, number = place(ARGV[i])
  if ms >= oldest_ms and (ms > top_ms or (ms == top_ms and number > top_number)) then
    redis.call('XADD', audit_log, ARGV[i], 'k', ARGV[i + 1], 's', ARGV[i + 2], 'e', ARGV[i + 3])
  end
end
redis.call('PEXPIRE', audit_log, ttl_ms)
return 1

-- Make a provisional suite key permanent. Returns 0 if it has already ended, and must not be shown; 1 if its record
-- does not say that the audit log has the entry; 2 if it does.
local suite_key = KEYS[1]
local now_ms = ARGV[1]

local found = redis.call('HMGET', suite_key, 'tenant', 'revoked', 'provisional', 'expires', 'kept_told')
if not found[1] or found[2] then
  return 0
end
if found[3] then
  if tonumber(found[4]) <= tonumber(now_ms) then
    return 0
  end
  redis.call('HDEL', suite_key, 'provisional', 'expires')
end
return found[5] and 2 or 1

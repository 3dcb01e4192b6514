-- Have a suite key that was made provisionally work for good. Returns 0 when it ended before, and must not be shown then; 1 when the
-- audit log has no entry of it yet, as far as is known here; 2 when it has.
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

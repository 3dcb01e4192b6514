-- KEYS: suite key  ARGV: now in ms
-- A key that was made provisionally is in force from now on. Returns 0 when it ended before: it must not be shown then; 1 when
-- the audit log does not tell of it yet, as far as is known here; 2 when it does.
local found = redis.call('HMGET', KEYS[1], 'tenant', 'revoked', 'provisional', 'expires', 'kept_told')
if not found[1] or found[2] then
  return 0
end
if found[3] then
  if tonumber(found[4]) <= tonumber(ARGV[1]) then
    return 0
  end
  redis.call('HDEL', KEYS[1], 'provisional', 'expires')
end
return found[5] and 2 or 1

-- uses: append, hint, audit, custody, since
-- KEYS: ..., grant, grants, tenant  ARGV: ..., expected version (0: none there), account id, then fields
-- Compare and set. Returns the new version, {the version found} on conflict, or -1 without the tenant. A new version is
-- never one that was there before, not even after a removal: it is at least the time in ms.
if redis.call('HEXISTS', KEYS[7], 'state') == 0 then
  return -1
end
local version = tonumber(redis.call('HGET', KEYS[5], 'version') or '0')
if version ~= tonumber(ARGV[6]) then
  return {version}
end
local time = redis.call('TIME')
local new = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
since_of(KEYS[5], 8)
redis.call('HSET', KEYS[5], 'version', string.format('%.0f', new), unpack(ARGV, 8))
redis.call('SADD', KEYS[6], ARGV[7])
audit(version ~= 0 and 'grant-replaced' or nil)
tell()
return new

-- uses: append, hint, audit, custody
-- KEYS: ..., tenant, requests, sealed request  ARGV: ..., account id, now in ms, what becomes of it
-- Returns 0 when none waits (any more).
local found = redis.call('HGET', KEYS[6], ARGV[6])
local waited = redis.call('UNLINK', KEYS[7]) == 1
if not found or not waited then
  return 0
end
local request = cjson.decode(found)
request.state, request.decided_ms = ARGV[8], tonumber(ARGV[7])
redis.call('HSET', KEYS[6], ARGV[6], cjson.encode(request))
audit()
tell()
return 1

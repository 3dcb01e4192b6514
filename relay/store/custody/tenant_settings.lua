-- uses: append, hint, audit, custody, rights
-- KEYS: ..., tenant  ARGV: ..., settings that were read, settings that take their place
-- Compare and set: of two people at once the second begins again from what the first left. Returns -1 without the tenant.
if redis.call('HEXISTS', KEYS[5], 'state') == 0 then
  return -1
end
if (redis.call('HGET', KEYS[5], 'settings') or '') ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[5], 'settings', ARGV[7])
-- Another contact may come and look after the tenant; see _rights.lua. One that is not settled yet takes this one then.
local former = ARGV[6] ~= '' and cjson.decode(ARGV[6]).contact_email or ''
local contact = cjson.decode(ARGV[7]).contact_email or ''
if former ~= contact and redis.call('HEXISTS', KEYS[5], 'claim') == 1 then
  put_claim(KEYS[5], contact)
end
audit()
tell()
return 1

-- uses: append, hint, custody
-- KEYS: ..., tenant, tenants, grant, grants
-- ARGV: ..., account id, now in ms, transitions (JSON), n, n fields of a new record, fields of the grant
-- Returns the tenant's state. A tenant that is there keeps what its record says; only what is empty is filled in.
local state = redis.call('HGET', KEYS[4], 'state') or ''
local after = cjson.decode(ARGV[7])[state] or state
local first = 9
local last = first + tonumber(ARGV[8]) - 1
for i = first, last, 2 do
  local known = redis.call('HGET', KEYS[4], ARGV[i])
  if not known or known == '' or known == '{}' then
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
  end
end
redis.call('HSET', KEYS[4], 'state', after)
redis.call('SADD', KEYS[5], ARGV[2])

-- As in grant_save: a version never comes twice, not even after a removal.
local time = redis.call('TIME')
local version = tonumber(redis.call('HGET', KEYS[6], 'version') or '0')
version = math.max(version + 1, time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSETNX', KEYS[6], 'created', ARGV[6])
redis.call('HSET', KEYS[6], 'version', string.format('%.0f', version), unpack(ARGV, last + 1))
redis.call('SADD', KEYS[7], ARGV[5])
tell()
return after

-- uses: append, hint, audit, custody, since
-- KEYS: ..., tenant, tenants  ARGV: ..., fields of the record; `created` is kept when it is there already
since_of(KEYS[5], 6)
local created = redis.call('HGET', KEYS[5], 'created')
redis.call('HSET', KEYS[5], unpack(ARGV, 6))
if created then
  redis.call('HSET', KEYS[5], 'created', created)
end
redis.call('SADD', KEYS[6], ARGV[2])
audit()
tell()
return 1

-- uses: append, hint, custody
-- KEYS: ..., tenant, tenants  ARGV: ..., fields of the record; `created` is kept when it is there already
local created = redis.call('HGET', KEYS[4], 'created')
redis.call('HSET', KEYS[4], unpack(ARGV, 5))
if created then
  redis.call('HSET', KEYS[4], 'created', created)
end
redis.call('SADD', KEYS[5], ARGV[2])
tell()
return 1

-- uses: append, hint, custody
-- KEYS: ..., grant, grants  ARGV: ..., account id
redis.call('SREM', KEYS[5], ARGV[5])
local known = redis.call('UNLINK', KEYS[4])
tell()
return known

-- uses: append, hint, audit, custody
-- KEYS: ..., grant, grants  ARGV: ..., account id
redis.call('SREM', KEYS[6], ARGV[6])
local known = redis.call('UNLINK', KEYS[5])
if known == 1 then
  audit()
end
tell()
return known

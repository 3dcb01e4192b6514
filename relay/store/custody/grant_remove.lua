-- uses: append, hint, audit, custody
-- KEYS: ..., grant, grants  ARGV: ..., account id, 1 to keep the last one
-- Returns -1 when it is the last one, and kept.
if ARGV[7] == '1' and redis.call('SCARD', KEYS[6]) == 1 and redis.call('SISMEMBER', KEYS[6], ARGV[6]) == 1 then
  return -1
end
redis.call('SREM', KEYS[6], ARGV[6])
local known = redis.call('UNLINK', KEYS[5])
if known == 1 then
  audit()
end
tell()
return known

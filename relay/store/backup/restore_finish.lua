-- uses: append, hint, audit, custody
-- KEYS: ..., tenant  ARGV: ..., backup id
-- Returns 1 when this backup was under way, and is whole now.
if redis.call('HGET', KEYS[5], 'restoring') ~= ARGV[6] then
  return 0
end
redis.call('HDEL', KEYS[5], 'restoring')
audit()
tell()
return 1

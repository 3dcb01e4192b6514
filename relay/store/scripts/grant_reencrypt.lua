-- KEYS: grant  ARGV: old ciphertext, new ciphertext
-- The same value under another key is not a new version.
if redis.call('HGET', KEYS[1], 'token_cache') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'token_cache', ARGV[2])
return 1

-- KEYS: a key with a sealed value  ARGV: its field ('' when the value is the key's own), old ciphertext, new ciphertext
-- The same value under another key of the ring: no new version, and what expires does so when it would have.
local found
if ARGV[1] == '' then
  found = redis.call('GET', KEYS[1])
else
  found = redis.call('HGET', KEYS[1], ARGV[1])
end
if found ~= ARGV[2] then
  return 0
end
if ARGV[1] == '' then
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1

-- KEYS: suite key  ARGV: '1' to overwrite, fields and values
-- A key that was revoked since stays so, whatever is told. Returns 'written', 'there' or 'revoked'.
local revoked = redis.call('HGET', KEYS[1], 'revoked')
local was_revoked = false
for i = 2, #ARGV, 2 do
  was_revoked = was_revoked or ARGV[i] == 'revoked'
end
if revoked then
  return was_revoked and 'there' or 'revoked'
end
if redis.call('EXISTS', KEYS[1]) == 1 and ARGV[1] ~= '1' then
  return 'there'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if was_revoked then
  redis.call('HDEL', KEYS[1], 'mark')
end
return 'written'

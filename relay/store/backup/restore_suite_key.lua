-- Restore a suite key. A key that was revoked since always stays revoked. Returns 'written', 'there' or 'revoked'.
local suite_key = KEYS[1]
local overwrite = ARGV[1]  -- '1': replace an existing key
local first_field = 2  -- ARGV[2...]: fields and values

local revoked = redis.call('HGET', suite_key, 'revoked')
local was_revoked = false
for i = first_field, #ARGV, 2 do
  was_revoked = was_revoked or ARGV[i] == 'revoked'
end
if revoked then
  return was_revoked and 'there' or 'revoked'
end
if redis.call('EXISTS', suite_key) == 1 and overwrite ~= '1' then
  return 'there'
end
redis.call('HSET', suite_key, unpack(ARGV, first_field))
if was_revoked then
  redis.call('HDEL', suite_key, 'mark')
end
return 'written'

-- KEYS: notices  ARGV: notice id, channel that is done, all channels
-- One that was taken out does not come back: two workers may tell while one takes over. Takes it out when no channel is left.
local id = ARGV[1]
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], id .. '/' .. ARGV[2], '1')
local fields = {id}
for i = 3, #ARGV do
  fields[#fields + 1] = id .. '/' .. ARGV[i]
end
for i = 2, #fields do
  if redis.call('HEXISTS', KEYS[1], fields[i]) == 0 then
    return 1
  end
end
redis.call('HDEL', KEYS[1], unpack(fields))
return 1

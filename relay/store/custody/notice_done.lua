-- Note that a channel is done with a notice, and take the notice out when no channel is left. One that was taken out does not come
-- back: two workers may send it while one takes over.
local notices = KEYS[1]
local notice_id = ARGV[1]
local channel = ARGV[2]  -- that is done
local first_channel = 3  -- ARGV[3...]: all channels

if redis.call('HEXISTS', notices, notice_id) == 0 then
  return 0
end
redis.call('HSET', notices, notice_id .. '/' .. channel, '1')
local fields = {notice_id}
for i = first_channel, #ARGV do
  fields[#fields + 1] = notice_id .. '/' .. ARGV[i]
end
for i = 2, #fields do
  if redis.call('HEXISTS', notices, fields[i]) == 0 then
    return 1
  end
end
redis.call('HDEL', notices, unpack(fields))
return 1

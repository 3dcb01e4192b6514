-- Record that a channel has delivered a notice, and delete the notice when all channels have. Never recreates a deleted
-- notice: two workers may send it during a takeover.
local notices = KEYS[1]
local notice_id = ARGV[1]
local channel = ARGV[2]  -- that has delivered it
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

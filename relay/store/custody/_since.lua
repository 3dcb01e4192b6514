-- Write the time of a change of state, in ms. Call it before the state is written.
local function since(key, state)
  if redis.call('HGET', key, 'state') ~= state then
    local time = redis.call('TIME')
    redis.call('HSET', key, 'since', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
  end
end
-- The same, with the state among the fields and values in ARGV from `first`.
local function since_of(key, first)
  for i = first, #ARGV, 2 do
    if ARGV[i] == 'state' then
      since(key, ARGV[i + 1])
    end
  end
end

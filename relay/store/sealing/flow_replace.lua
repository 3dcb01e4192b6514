-- Compare and set a flow. Returns 0 if it has changed since it was read.
local flow = KEYS[1]
local old = ARGV[1]  -- the value that was read
local new = ARGV[2]
local ttl_ms = ARGV[3]

if redis.call('GET', flow) ~= old then
  return 0
end
redis.call('SET', flow, new, 'PX', ttl_ms)
return 1

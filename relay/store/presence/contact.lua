-- uses: lease, append
-- KEYS: lease, changes, head, then the contact hash of each tenant
-- ARGV: lease value, maxlen, expiry in ms, then (tenant, "<contact ms> <interval ms> <status> <beat ms> <said ms>") pairs in the order of the keys
-- What is kept ends with when it came, in ms by this server's clock.
if not holds(KEYS[1], ARGV[1]) then
  return lease_lost()
end
local fields = {'c', ''}
for i = 4, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
local time = redis.call('TIME')
local now_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
for n = 4, #KEYS do
  redis.call('SET', KEYS[n], ARGV[2 * n - 3] .. ' ' .. now_ms, 'PX', ARGV[3])
end
return append(KEYS[2], KEYS[3], ARGV[2], fields)

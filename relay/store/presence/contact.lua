-- Store the contact of some tenants, and append it to `changes` as one entry. A stored contact ends with the time of
-- this call, in ms by this server's clock. Returns the entry's id.
-- uses: lease, append
local lease = KEYS[1]  -- the partition's lease
local changes = KEYS[2]
local changes_head = KEYS[3]
local first_contact = 4  -- KEYS[4...]: the contact of each tenant, in the order of the pairs
local lease_value = ARGV[1]
local changes_length = ARGV[2]  -- entries that `changes` keeps, about
local ttl_ms = ARGV[3]  -- for how long a contact is kept
local first_pair = 4  -- ARGV[4...]: (tenant, "<contact ms> <interval ms> <status> <beat ms> <said ms>") pairs

if not holds_lease() then
  return lease_lost()
end
local fields = {'c', ''}
for i = first_pair, #ARGV do
  fields[#fields + 1] = ARGV[i]
end
local time = redis.call('TIME')
local now_ms = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
for n = first_contact, #KEYS do
  local text = ARGV[first_pair + 2 * (n - first_contact) + 1]
  redis.call('SET', KEYS[n], text .. ' ' .. now_ms, 'PX', ttl_ms)
end
return append(changes, changes_head, changes_length, fields)

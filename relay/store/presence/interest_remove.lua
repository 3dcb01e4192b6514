-- Remove names from the set of an edge. Returns how many are left.
-- uses: append, hint, layout, shared
local interest = KEYS[1]  -- the edge's names
local edges = KEYS[2]  -- the tenant's
local inbox = KEYS[3]
local inbox_head = KEYS[4]
local inbox_pending = KEYS[5]
local shared = KEYS[6]  -- edge -> how many of its names others watch too; see _shared.lua
local edge = ARGV[1]
local tenant_id = ARGV[2]
local most_hints = ARGV[3]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[4]  -- entries that the inbox keeps, about
local hint = ARGV[5]  -- empty: none, because more names follow
local interest_prefix = ARGV[6]  -- of the tenant's interest keys; an edge follows
local first_name = 7  -- ARGV[7...]: names

local sets = others(edges, shared, interest_prefix, edge)
local elsewhere = count_elsewhere(interest, sets, first_name, 1)
for first = first_name, #ARGV, CHUNK do
  redis.call('SREM', interest, unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
if elsewhere > 0 then
  redis.call('HINCRBY', shared, edge, -elsewhere)
end
local count = redis.call('SCARD', interest)
if count == 0 then
  redis.call('SREM', edges, edge)
  local share = redis.call('HGET', shared, edge)
  if #sets == 0 then
    redis.call('DEL', shared)
  elseif share then
    redis.call('HDEL', shared, edge)
    redis.call('HINCRBY', shared, REST, share)
  end
end
if hint ~= '' then
  append_hint(hint)
end
return count

-- Add names to the set of an edge. Returns how many names the edge then watches; -1, and adds none, if the tenant would
-- watch more distinct names than allowed. Names that another edge already watches do not count.
-- uses: append, hint, layout, shared
local interest = KEYS[1]  -- the edge's names
local edges = KEYS[2]  -- the tenant's
local inbox = KEYS[3]
local inbox_head = KEYS[4]
local inbox_pending = KEYS[5]
local shared = KEYS[6]  -- edge -> how many of its names others watch too; see _shared.lua
local ttl_ms = ARGV[1]  -- after which the edge's interest expires unless it is renewed
local edge = ARGV[2]
local tenant_id = ARGV[3]
local most_hints = ARGV[4]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[5]  -- entries that the inbox keeps, about
local hint = ARGV[6]  -- empty: none, because more names follow
local interest_prefix = ARGV[7]  -- of the tenant's interest keys; an edge follows
local most_names = ARGV[8]  -- distinct names of the tenant; 0: any number
local first_name = 9  -- ARGV[9...]: names

local sets = others(edges, shared, interest_prefix, edge)
if #sets == 0 and redis.call('EXISTS', interest) == 0 then
  redis.call('DEL', shared)  -- remains of former edges
end
local elsewhere, nowhere = count_elsewhere(interest, sets, first_name, 0)
local most = tonumber(most_names)
if most > 0 and nowhere > 0 and distinct(interest, sets, shared) + nowhere > most then
  return -1
end
for first = first_name, #ARGV, CHUNK do
  redis.call('SADD', interest, unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
if elsewhere > 0 then
  redis.call('HINCRBY', shared, edge, elsewhere)
end
redis.call('PEXPIRE', interest, ttl_ms)
redis.call('SADD', edges, edge)
if hint ~= '' then
  append_hint(hint)
end
return redis.call('SCARD', interest)

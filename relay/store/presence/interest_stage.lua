-- Add names to a set that is not in use yet. Returns how many of the added names another edge watches.
-- uses: layout, shared
local staged = KEYS[1]
local edges = KEYS[2]  -- the tenant's
local shared = KEYS[3]  -- edge -> how many of its names others watch too; see _shared.lua
local ttl_ms = ARGV[1]
local edge = ARGV[2]
local interest_prefix = ARGV[3]  -- of the tenant's interest keys; an edge follows
local first_name = 4  -- ARGV[4...]: names

local sets = others(edges, shared, interest_prefix, edge)
local elsewhere = count_elsewhere(staged, sets, first_name, 0)
for first = first_name, #ARGV, CHUNK do
  redis.call('SADD', staged, unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end
redis.call('PEXPIRE', staged, ttl_ms)
return elsewhere

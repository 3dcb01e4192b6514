-- Return the edges with interest in a tenant; edges whose interest expired are removed. The keys of the sets are
-- derived from the edges' names and share their slot.
-- uses: layout, shared
local edges = KEYS[1]  -- the tenant's
local shared = KEYS[2]  -- edge -> how many of its names others watch too; see _shared.lua
local interest_prefix = ARGV[1]  -- of the tenant's interest keys; an edge follows

local alive = {}
for _, set in ipairs(others(edges, shared, interest_prefix, false)) do
  alive[#alive + 1] = string.sub(set, #interest_prefix + 1)
end
return alive

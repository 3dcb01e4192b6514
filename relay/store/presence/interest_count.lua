-- Return how many distinct names a tenant's edges watch, as the limit counts them; see _shared.lua. Edges whose
-- interest expired are removed. The keys of the sets are derived from the edges' names and share their slot.
-- uses: layout, shared
local edges = KEYS[1]  -- the tenant's
local shared = KEYS[2]  -- edge -> how many of its names others watch too
local interest_prefix = ARGV[1]  -- of the tenant's interest keys; an edge follows

local sets = others(edges, shared, interest_prefix, false)
if #sets == 0 then
  return 0
end
return distinct(table.remove(sets), sets, shared)

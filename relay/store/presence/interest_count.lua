-- uses: layout, shared
-- KEYS: edges, shared  ARGV: prefix of the tenant's interest keys
-- How many distinct names a tenant's edges watch, as the limit counts them; see _shared.lua. Edges that let theirs expire are removed.
-- The names of the sets follow from the edges' and share their slot.
local sets = others(KEYS[1], KEYS[2], ARGV[1], false)
if #sets == 0 then
  return 0
end
return distinct(table.remove(sets), sets, KEYS[2])

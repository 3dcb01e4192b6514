-- uses: layout, shared
-- KEYS: edges, shared  ARGV: prefix of the tenant's interest keys
-- The edges whose interest is alive; those that let it expire are removed.
-- The names of the sets follow from the edges' and share their slot.
local alive = {}
for _, set in ipairs(others(KEYS[1], KEYS[2], ARGV[1], false)) do
  alive[#alive + 1] = string.sub(set, #ARGV[1] + 1)
end
return alive

-- Append to `changes` that a suite key or a tenant has ended. Returns the entry's id.
-- uses: append
local changes = KEYS[1]
local changes_head = KEYS[2]
local changes_length = ARGV[1]  -- entries that `changes` keeps, about
local tenant_id = ARGV[2]
local key_id = ARGV[3]  -- empty: the whole tenant

return append(changes, changes_head, changes_length, {'e', tenant_id, 'k', key_id})

-- Mark a suite key, if its record still has the facts that the mark vouches for. A revoked key never gets a mark.
-- Returns whether it is marked.
local suite_key = KEYS[1]
local tenant_id = ARGV[1]
local secret_hash = ARGV[2]
local old_mark = ARGV[3]  -- empty: it has none
local new_mark = ARGV[4]

local found = redis.call('HMGET', suite_key, 'tenant', 'hash', 'revoked', 'mark')
if found[1] ~= tenant_id or found[2] ~= secret_hash or found[3] or (found[4] or '') ~= old_mark then
  return 0
end
redis.call('HSET', suite_key, 'mark', new_mark)
return 1

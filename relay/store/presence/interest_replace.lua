-- Replace the set of an edge with the staged set, if there is one. The old set is unlinked first, so that the server
-- frees it in the background. Returns how many names the edge then watches.
-- uses: append, hint
local interest = KEYS[1]  -- the edge's names
local edges = KEYS[2]  -- the tenant's
local inbox = KEYS[3]
local inbox_head = KEYS[4]
local inbox_pending = KEYS[5]
local shared = KEYS[6]  -- edge -> how many of its names others watch too; see _shared.lua
local staged = KEYS[7]  -- the new names
local ttl_ms = ARGV[1]  -- after which the edge's interest expires unless it is renewed
local edge = ARGV[2]
local tenant_id = ARGV[3]
local most_hints = ARGV[4]  -- of one tenant that may wait for its worker
local inbox_length = ARGV[5]  -- entries that the inbox keeps, about
local hint = ARGV[6]
local elsewhere = ARGV[7]  -- how many of the staged names other edges have

local before = redis.call('SCARD', interest)
redis.call('UNLINK', interest)
if redis.call('EXISTS', staged) == 1 then
  if before ~= redis.call('SCARD', staged) then
    redis.call('HSET', shared, edge, elsewhere)  -- else nothing was lost, and the stored share is right
  end
  redis.call('RENAME', staged, interest)
  redis.call('PEXPIRE', interest, ttl_ms)
  redis.call('SADD', edges, edge)
else
  redis.call('SREM', edges, edge)
  redis.call('HDEL', shared, edge)
end
append_hint(hint)
return redis.call('SCARD', interest)

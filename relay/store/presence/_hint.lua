-- Appends one hint of a tenant to the inbox, unless the tenant has too many that its worker has not yet seen. What was
-- left out is counted, and the worker learns of it when it saves its cursor.
-- `weight` is what it counts for, 1 when absent.
-- keys: inbox, its head, its pending counts
local function hint(stream, head, pending, tenant, limit, maxlen, payload, weight)
  if redis.call('HINCRBY', pending, tenant, weight or 1) <= tonumber(limit) then
    append(stream, head, maxlen, {'h', payload})
  end
end

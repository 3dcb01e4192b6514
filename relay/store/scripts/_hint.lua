-- Appends one hint of a tenant to the inbox, unless the tenant has too many that its worker has not yet seen. What was
-- left out is counted, and the worker learns of it when it saves its cursor.
-- keys: inbox, its head, its pending counts
local function hint(stream, head, pending, tenant, limit, maxlen, payload)
  if redis.call('HINCRBY', pending, tenant, 1) <= tonumber(limit) then
    append(stream, head, maxlen, {'h', payload})
  end
end

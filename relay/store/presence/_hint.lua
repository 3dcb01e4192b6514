-- needs: inbox, inbox_head, inbox_pending, tenant_id, most_hints, inbox_length
-- Append one hint of a tenant to the inbox, unless the tenant has more than `most_hints` that its worker has not yet seen.
-- What is left out is counted, and the worker learns of it when it saves its cursor.
-- `weight` is how many hints it counts for; 1 when absent.
local function append_hint(payload, weight)
  if redis.call('HINCRBY', inbox_pending, tenant_id, weight or 1) <= tonumber(most_hints) then
    append(inbox, inbox_head, inbox_length, {'h', payload})
  end
end

-- needs: inbox, inbox_head, inbox_pending, tenant_id, most_hints, inbox_length
-- Append one hint of a tenant to the inbox, unless more than `most_hints` of the tenant wait for its worker.
-- Omitted hints are counted, and the worker learns of them when it saves its cursor.
-- `weight` is the number of hints that it counts as; 1 if absent.
local function append_hint(payload, weight)
  if redis.call('HINCRBY', inbox_pending, tenant_id, weight or 1) <= tonumber(most_hints) then
    append(inbox, inbox_head, inbox_length, {'h', payload})
  end
end

-- Append to a tenant's audit log in the same step as the deed. `made` is JSON of an `_Appended` (see
-- relay/store/custody/audit.py), or '' for a write that is not a deed. MAXLEN and MINID exclude each other in one XADD;
-- the expiry deletes a log without new entries.
-- log: its stream  kind: replaces the one in `made`, if given
local function append_audit(log, made, kind)
  if made == '' then
    return
  end
  local appended = cjson.decode(made)
  local now = redis.call('TIME')
  redis.call(
    'XADD', log, 'MAXLEN', '~', appended.most, '*', 'k', kind or appended.kind, 's', appended.subject, 'e', appended.body)
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', now[1] * 1000 - appended.keep_ms))
  redis.call('PEXPIRE', log, string.format('%.0f', appended.keep_ms))
end

-- Appends to a tenant's audit log in the same step as what the entry tells of. `made` is JSON of an `_Appended` (see
-- relay/store/custody/audit.py), or '' for a write that is nobody's deed. MAXLEN and MINID exclude each other in one XADD; the expiry ends
-- a log that nothing is appended to any more.
-- log: its stream  kind: put in place of the one in `made`, if given
local function record(log, made, kind)
  if made == '' then
    return
  end
  local entry = cjson.decode(made)
  local now = redis.call('TIME')
  redis.call('XADD', log, 'MAXLEN', '~', entry.most, '*', 'k', kind or entry.kind, 's', entry.subject, 'e', entry.body)
  redis.call('XTRIM', log, 'MINID', string.format('%.0f', now[1] * 1000 - entry.keep_ms))
  redis.call('PEXPIRE', log, string.format('%.0f', entry.keep_ms))
end

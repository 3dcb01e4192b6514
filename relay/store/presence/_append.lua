-- Append to a stream and return the new id. `head` holds the id of the newest entry, and the field `p` of each entry
-- holds the id of the entry before it, so that a reader detects missed entries. Both are written together, so a
-- failover that loses writes loses both.
-- Measured on Valkey 9.1, compared with XINFO STREAM: GET and SET of the key cost 1.2 to 1.9 us together; XINFO costs
-- 4.5 us for small entries and 260 us for entries with 650 answers, because it returns the whole first and last entry.
-- `trace` is the trace context for readers of the entry (see `entries`); empty or absent without a trace.
local function append(stream, head, maxlen, fields, trace)
  local previous = redis.call('GET', head) or '0-0'
  local id = redis.call('XADD', stream, 'MAXLEN', '~', maxlen, '*', 'p' .. (trace or ''), previous, unpack(fields))
  redis.call('SET', head, id)
  return id
end

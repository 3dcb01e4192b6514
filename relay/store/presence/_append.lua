-- Append to a stream and return the new id. `head` holds the id of the newest entry, and each entry carries the id of
-- the one before in its field `p`, so that a reader that misses one notices. The two are written together, so they are
-- lost together when a failover loses writes.
-- Measured on Valkey 9.1 beside XINFO STREAM: GET and SET of the key cost 1.2 to 1.9 us together; XINFO costs 4.5 us when the
-- entries are small and 260 us when they have 650 answers, because it returns the first and the last entry whole.
-- `trace` goes on with a trace in whoever reads the entry (see `entries`); empty or absent without one.
local function append(stream, head, maxlen, fields, trace)
  local previous = redis.call('GET', head) or '0-0'
  local id = redis.call('XADD', stream, 'MAXLEN', '~', maxlen, '*', 'p' .. (trace or ''), previous, unpack(fields))
  redis.call('SET', head, id)
  return id
end

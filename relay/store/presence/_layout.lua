-- A stored answer: revision (ms, sequence), order (fencing token, poll number), source, length of the sequence number,
-- sequence number, item. The same as `_HEAD` in values.py.
local HEAD = '>I8I4I4I8BB'
local REVISION_BYTES = 12
local HEAD_BYTES = 26
local CHUNK = 2000  -- values per HMGET and pairs per HSET: Lua cannot unpack more than about 8,000
local POLL = 1
local NOTIFICATION = 2
local RESTARTS = 3  -- a poll whose sequence number may be less than the stored one; never stored

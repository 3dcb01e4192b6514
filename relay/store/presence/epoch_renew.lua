-- Begin a new epoch with this server's history, and delete the answers of the old one. Returns the epoch; nil if the
-- lease is lost, and nothing was written.
-- uses: lease
local lease = KEYS[1]  -- the partition's lease
local epoch = KEYS[2]
local first_answers = 3  -- KEYS[3...]: the answers of each tenant
local lease_value = ARGV[1]
local random = ARGV[2]  -- makes this epoch unique

if not holds_lease() then
  return nil
end
-- The same as `epoch_in` of relay/core/revision.py.
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local begun = random .. '.' .. redis.sha1hex(random .. '.' .. replid)
redis.call('SET', epoch, begun)
for n = first_answers, #KEYS do
  redis.call('UNLINK', KEYS[n])
end
return begun

-- Return the stored data on some names as a consistent snapshot: {last id, epoch, the server's history, outcome per
-- name, user ids, answer per user id, whether answers are held back}.
local directory = KEYS[1]
local answers = KEYS[2]
local changes_head = KEYS[3]
local epoch = KEYS[4]
local unenforced = KEYS[5]  -- mark of a change that is not enforced yet
local first_name = 1  -- ARGV[1...]: names, few enough to unpack

local outcomes = #ARGV >= first_name and redis.call('HMGET', directory, unpack(ARGV, first_name)) or {}
local users, seen = {}, {}
for n, value in ipairs(outcomes) do
  if value then
    local outcome = string.match(value, ' (.*)$')
    outcomes[n] = outcome
    if string.byte(outcome) == 117 and not seen[outcome] then  -- 'u'
      seen[outcome] = true
      users[#users + 1] = string.sub(outcome, 2)
    end
  end
end
local found = {}
local held_back = redis.call('EXISTS', unenforced)
if #users > 0 and held_back == 0 then
  found = redis.call('HMGET', answers, unpack(users))
end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
return {redis.call('GET', changes_head), redis.call('GET', epoch), replid, outcomes, users, found, held_back}

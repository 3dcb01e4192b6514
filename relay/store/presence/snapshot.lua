-- KEYS: directory, answers, head, epoch, mark of a change that is not carried out  ARGV: names, few enough to unpack
-- All of one instant: {last id, epoch, replication info, outcome per name, user ids, answer per user id,
-- whether answers are held back}.
local outcomes = #ARGV > 0 and redis.call('HMGET', KEYS[1], unpack(ARGV)) or {}
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
local answers = {}
local held_back = redis.call('EXISTS', KEYS[5])
if #users > 0 and held_back == 0 then
  answers = redis.call('HMGET', KEYS[2], unpack(users))
end
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
return {redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4]), replid, outcomes, users, answers, held_back}

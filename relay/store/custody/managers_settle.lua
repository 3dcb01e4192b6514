-- uses: audit, rights
-- KEYS: tenant, managers, grants, log  ARGV: settling
-- Returns {managers, claim, when it was made in ms}
settle(KEYS[1], KEYS[2], KEYS[3], ARGV[1], KEYS[4])
return {redis.call('HGETALL', KEYS[2]), redis.call('HGET', KEYS[1], 'claim') or '', redis.call('HGET', KEYS[1], 'claim_ms') or '0'}

-- Keep the answer to the request that has claimed an idempotency key, or give the key back.
--
-- KEYS[1]  hash: see claim_answer.lua
-- ARGV[1]  request
-- ARGV[2]  answer, empty: nothing was done, the key is free again
--
-- Answers 1 where it was done, 0 where another request has the key, or it is forgotten.

if redis.call('HGET', KEYS[1], 'by') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'answer', ARGV[2])
end
return 1

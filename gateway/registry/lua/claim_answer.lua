-- Claim an idempotency key for a request, unless another one has it.
--
-- KEYS[1]  hash: `by`, the request that claimed it; `of`, the digest of what it asked; `answer`, once it is given
-- ARGV[1]  request
-- ARGV[2]  digest
-- ARGV[3]  milliseconds after which the key is forgotten
--
-- Answers nothing where it is claimed now, else {digest, answer}, the latter nil as long as there is none.

local held = redis.call('HMGET', KEYS[1], 'of', 'answer')
if held[1] then
  return held
end
redis.call('HSET', KEYS[1], 'by', ARGV[1], 'of', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {}

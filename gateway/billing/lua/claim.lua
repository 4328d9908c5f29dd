-- Note what is about to be told to who bills. What was noted before, and not accepted, is told again as it was.
--
-- KEYS[1]  hash: of a day's count, how many units were accepted, and under `<field> pending` up to where they are being told
-- ARGV[1]  when it expires, in seconds since 1970
-- then     field, units that are counted by now
--
-- Answers two numbers for each: up to where units were accepted, and are to be told now. The same: nothing is.

local answer = {}
for place = 2, #ARGV, 2 do
  local field, counted = ARGV[place], tonumber(ARGV[place + 1])
  local accepted = tonumber(redis.call('HGET', KEYS[1], field) or '0')
  local pending = tonumber(redis.call('HGET', KEYS[1], field .. ' pending') or '0')
  if pending == 0 and counted > accepted then
    pending = counted
    redis.call('HSET', KEYS[1], field .. ' pending', ARGV[place + 1])
    redis.call('EXPIREAT', KEYS[1], ARGV[1])
  end
  answer[#answer + 1] = accepted
  answer[#answer + 1] = math.max(accepted, pending)
end
return answer

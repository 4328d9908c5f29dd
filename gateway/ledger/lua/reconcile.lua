-- Say how many there are of a resource; what was reserved is settled by that.
--
-- KEYS     hash of the counts, sorted set of the resource's reservations
-- ARGV     resource, count
--
-- Answers 1.

redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1

-- What a worker has to tell the store, and would like to have of it, apart from any one request.
--
-- Where the store is sharded, what has keys in two groups is told to both, each time with those of one: 0 in place of the others,
-- and nothing is done of what would have needed them.
--
-- KEYS[1]  string: the number of the worker's last exchange with this group of keys, and what was answered
-- KEYS     every key that is named below, each once
-- ARGV[1]  the time, see buckets.lua
-- ARGV[2]  number of this exchange. A worker repeats one until it is answered, and begins the group's next one then, with a
--          higher number: one that was seen is answered again, a lower one comes from a connection that was given up, and is
--          refused.
-- ARGV[3]  worker
-- ARGV[4]  length of a record's lease in milliseconds
-- ARGV[5]  milliseconds after which a lease that was not renewed is forgotten
-- then one after the other, each starting with its kind; what each adds to the answer stands behind the arrow
--   commit  tenant_key, org_key, lent of the tenant (two), of the organization (two), metric, cap, org_cap, epoch, units, held,
--           forced, credential_key, over_all_key, credential_field, expires -> 1, or 0 where it was refused
--             `held` of the epoch's units, and what goes beyond them, are used. Those of an epoch that has ended were free since:
--             they are counted where there is still room, or where that is `forced` (1).
--   refund  key, field, units, daily: of a usage hash; never below 0, and none is made where there is none. `daily` (1): of the
--           day's share too
--   used    rate (see admit.lua), epoch, used, age: cells that were used since
--   back    lent (two), lent (two), epoch, units, busy: units come back; busy (1): the epoch has no idle ones any more
--   keep    lent (two), lent (two), milliseconds, epoch, held, most -> 1 while the epoch stands
--             Its end moves. Where it has ended already, `held` units are lent to it anew: they are in use, room or not. What it
--             has beyond `most` (-1: whatever it has) comes back: a reply that was lost has lent it, and nobody knows of it.
--   extra_rate   rate, epoch, used, age, extra -> as admit.lua answers for a demand that takes nothing
--   extra_quota  quota, epoch, extra -> likewise
--   extra_slot   lent (two), limit, epoch, extra -> likewise
--   record  key, leases key, version -> 1 where the record has this version still: it is leased to the worker
--   drop    key, holder: a reservation, of a sorted set
--   made    key, counts key, resource, holder: the reservation becomes one that exists; once, whoever says so how often
--   nonce   key: is forgotten
--
-- Answers a list of numbers.

local KEPT = 86400
local seen = redis.call('GET', KEYS[1])
if seen then
  local number, answer = string.match(seen, '^(%d+) (.*)$')
  if number == ARGV[2] then
    return cjson.decode(answer)
  elseif tonumber(number) > tonumber(ARGV[2]) then
    return redis.error_reply('OUTDATED a later exchange of the worker was seen')
  end
end

place = 3
local worker, record_lease, record_kept = take_text(), take_number(), take_number()
local answer = {}
local function tell(...)
  for _, number in ipairs({...}) do
    answer[#answer + 1] = number
  end
end

local item = {}

-- What the epoch held is neither lent any more nor counted yet, so all of `units` has to fit.
local function has_room(key, metric, lent, cap, late, units)
  return late == 0 or not lent or fits(used(key, metric, lent) + units, cap)
end

function item.commit()
  local quota, epoch = take_quota(), take_text()
  local units, held, forced = take_number(), take_number(), take_number() == 1
  local credential, over_all, field, expires = take_key(), take_key(), take_text(), take_text()
  quota_ended(quota)
  local late_of_tenant = held - give_back(quota.of_tenant, epoch, held)
  local late_of_org = held - give_back(quota.of_org, epoch, held)
  local room = has_room(quota.tenant, quota.metric, quota.of_tenant, quota.cap, late_of_tenant, held)
    and has_room(quota.org, quota.metric, quota.of_org, quota.org_cap, late_of_org, held)
  if not room and not forced then
    return tell(0)
  end
  local function count(key, name)
    if key and redis.call('HINCRBY', key, name, units) == units then
      redis.call('EXPIREAT', key, expires)
    end
  end
  count(quota.tenant, quota.metric)
  if quota.tenant then
    count_day(quota.tenant, quota.metric, units)
  end
  count(quota.org, quota.metric)
  count(credential, field)
  count(over_all, field)
  tell(1)
end

function item.refund()
  local key, field, units, daily = take_key(), take_text(), take_number(), take_number() == 1
  local back = math.min(units, tonumber(redis.call('HGET', key, field) or '0'))
  if back > 0 then
    redis.call('HINCRBY', key, field, -back)
    if daily then
      count_day(key, field, -back)
    end
  end
end

function item.used()
  local rate, epoch = take_rate(), take_text()
  report(rate, epoch, take_number(), take_number(), 0)
end

function item.back()
  local first, second, epoch = take_lent(), take_lent(), take_text()
  local units, busy = take_number(), take_number() == 1
  for _, lent in pairs({first, second}) do
    give_back(lent, epoch, units, true)
    if busy then
      all_busy(lent, epoch)
    end
  end
end

function item.keep()
  local first, second, kept, epoch = take_lent(), take_lent(), take_number(), take_text()
  local held, most, stands = take_number(), take_number(), 1
  for _, lent in pairs({first, second}) do
    lent.kept = kept
    if most >= 0 then
      give_back(lent, epoch, math.max(0, count_of(lent, epoch) - most), true)
    end
    if redis.call('ZSCORE', lent.ends, epoch) then
      keep(lent, epoch)
    else
      lend(lent, epoch, held, 0)
      stands = 0
    end
  end
  tell(stands)
end

function item.extra_rate()
  local rate, epoch = take_rate(), take_text()
  report(rate, epoch, take_number(), take_number(), 0)
  local time, rest = arrival_of(rate, now)
  time, rest = later(rate, time, rest, lent_of(rate.lent))
  local extra = cells_left(rate, time, rest, take_number())
  lend(rate.lent, epoch, extra, extra)
  tell(1, time - now, rest, extra)
end

function item.extra_quota()
  local quota, epoch = take_quota(), take_text()
  quota_ended(quota)
  local by_tenant = used(quota.tenant, quota.metric, quota.of_tenant)
  local by_org = used(quota.org, quota.metric, quota.of_org)
  local extra = units_left(quota, by_tenant, by_org, take_number())
  lend_quota(quota, epoch, extra, extra)
  tell(1, by_tenant, by_org, extra)
end

function item.extra_slot()
  local lent, limit, epoch = take_lent(), take_number(), take_text()
  take_back_ended(lent)
  local held = lent_of(lent)
  local extra = share(lent, limit - held, take_number())
  lend(lent, epoch, extra, extra)
  tell(1, held, 0, extra)
end

function item.record()
  local key, leases, version = take_key(), take_key(), take_text()
  if not has_version(key, version) then
    return tell(0)
  end
  lease_record(leases, worker, record_lease, record_kept)
  tell(1)
end

function item.drop()
  redis.call('ZREM', take_key(), take_text())
end

function item.made()
  local key, counts, resource, holder = take_key(), take_key(), take_text(), take_text()
  if redis.call('ZREM', key, holder) == 1 then
    redis.call('HINCRBY', counts, resource, 1)
  end
end

function item.nonce()
  redis.call('DEL', take_key())
end

while place <= #ARGV do
  item[take_text()]()
end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. cjson.encode(answer), 'EX', KEPT)
return answer

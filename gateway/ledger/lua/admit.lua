-- Admit one request: check everything it demands, then take everything, or nothing.
--
-- Where the store is sharded, a request may need several such calls, one after the other, each with the keys of one group: 0 in
-- place of the others, and nothing is checked or done of what would have needed them. All but the last one only lend, since it
-- comes back where a later one refuses: a cell of a rate too, which is used when the worker reports it. Until then all of it is
-- idle, as far as others are concerned: who would be refused for it is told so, and asks again.
--
-- KEYS     every key that is named below, each once
-- ARGV[1]  the time, see buckets.lua
-- ARGV[2]  first microsecond of the period whose counters are among KEYS
-- ARGV[3]  first microsecond after that period
-- ARGV[4]  channel that tells workers to give back what is idle; empty: none is asked, what does not fit is refused
-- ARGV[5]  worker that asks
-- ARGV[6]  length of a record's lease in milliseconds
-- ARGV[7]  milliseconds after which a lease that was not renewed is forgotten
-- ARGV[8]  1: another call decides about the request too, after this one
-- ARGV[9]  number of records; then for each
--            key      hash of the record
--            leases   key of the sorted set of its leases: workers by the end of their lease, in milliseconds since 1970
--            version  that the request was decided under, 0: none is stored
-- then the demands, each starting with its kind. A cap of -1 is none, of 0 blocks. `extra` is how many more units the worker
-- would like to have for the requests after this one; `idle` and `used` are what it gives back and reports (`age`:
-- microseconds since the last was used), which holds whatever becomes of the request.
--   rate   key, lent (two), window, count, interval, interval_rest, tolerance, tolerance_rest, epoch, used, age, idle, extra
--   quota  tenant_key, org_key, lent of the tenant (two), of the organization (two), metric, cap, org_cap, epoch, idle, units, extra
--   slot   lent (two), limit, epoch, idle, extra
--   nonce  key, milliseconds
--   reserve  reservations_key, counts_key, resource, cap, holder
--   pass   nothing: what needs nothing of the store
--   shadow before one of these but a nonce: it refuses nothing. Where it does not fit, its units are held all the same, and of
--            a rate or a slot nothing is taken.
--
-- Answers {verdict, now, ...}, whole numbers:
--   0  granted  four for each demand, see below: everything was taken
--   1  denied   likewise: nothing was taken
--   2  changed  the places of those records (from 1) that have another version: nothing was taken
--   3  period   now is in another period: nothing was taken
--   4  recalled it does not fit, but workers hold idle units and were told to give them back: nothing was taken
-- Granted or denied, the records are leased to the worker, all of them in the versions that it named.
-- Of a demand: 1 where it fits, else 0 (a quota that only the organization's cap refuses: -1); then
--   rate   arrival time ahead of now: microseconds, rest (after all that is lent, and after the cell where it fits); lent extra
--   quota  units used or held by the tenant, by the organization, before the request; lent extra
--   slot   slots held before the request, 0; lent extra
--   nonce  0, 0, 0
--   reserve  how many exist, how many are reserved, before the request; 0
--   pass   0, 0, 0
-- Two demands of one request on the same bucket see each other.

local GRANTED, DENIED, CHANGED, PERIOD, RECALLED = 0, 1, 2, 3, 4
local period_start, period_end = take_number(), take_number()
local channel, worker, record_lease, record_kept = take_text(), take_text(), take_number(), take_number()
local undecided = take_text() == '1'

local changed, leases = {CHANGED, now}, {}
for index = 1, take_number() do
  local key = take_key()
  leases[index] = take_key()
  if not has_version(key, take_text()) then
    changed[#changed + 1] = index
  end
end

-- First what the worker says of what it holds: that is so whatever the verdict.
local read = {}

function read.rate(demand)
  demand.rate, demand.epoch = take_rate(), take_text()
  report(demand.rate, demand.epoch, take_number(), take_number(), take_number())
  demand.extra = take_number()
end

function read.quota(demand)
  demand.quota, demand.epoch = take_quota(), take_text()
  quota_back(demand.quota, demand.epoch, take_number())
  demand.units, demand.extra = take_number(), take_number()
end

function read.slot(demand)
  demand.lent, demand.limit, demand.epoch = take_lent(), take_number(), take_text()
  take_back_ended(demand.lent)
  give_back(demand.lent, demand.epoch, take_number(), true)
  demand.extra = take_number()
end

function read.nonce(demand)
  demand.key, demand.milliseconds = take_key(), take_text()
end

function read.reserve(demand)
  demand.reservations, demand.counts = take_key(), take_key()
  demand.resource, demand.cap, demand.holder = take_text(), take_number(), take_text()
end

function read.pass() end

local demands = {}
while place <= #ARGV do
  local kind = take_text()
  local demand = {shadow = kind == 'shadow'}
  demand.kind = demand.shadow and take_text() or kind
  read[demand.kind](demand)
  demands[#demands + 1] = demand
end

if now < period_start or now >= period_end then
  return {PERIOD, now}
end
if #changed > 2 then
  return changed
end
for _, key in ipairs(leases) do
  lease_record(key, worker, record_lease, record_kept)
end

-- Then whether everything fits. `taken` is what the demands before this one will have taken, by key.
local check, taken = {}, {}
local function taken_of(key)
  return taken[key] or 0
end

function check.rate(demand)
  local rate = demand.rate
  if rate.count == 0 then
    return 0, 0, 0
  end
  local time, rest = arrival_of(rate, now)
  time, rest = later(rate, time, rest, taken_of(rate.key) + lent_of(rate.lent))
  local next_time, next_rest = later(rate, time, rest, 1)
  if not conforms(rate, next_time, next_rest) then
    return 0, time - now, rest
  end
  taken[rate.key] = taken_of(rate.key) + 1
  demand.time, demand.rest = next_time, next_rest
  return 1, next_time - now, next_rest
end

function check.quota(demand)
  local quota, units = demand.quota, demand.units
  local function counted(key, lent)
    return key and used(key, quota.metric, lent) + taken_of(key .. quota.metric) or 0
  end
  local by_tenant, by_org = counted(quota.tenant, quota.of_tenant), counted(quota.org, quota.of_org)
  local verdict = 1
  if quota.tenant and not fits(by_tenant + units, quota.cap) then
    verdict = 0
  elseif quota.org and not fits(by_org + units, quota.org_cap) then
    verdict = -1
  end
  if verdict == 1 or demand.shadow then
    for _, key in pairs({quota.tenant, quota.org}) do
      taken[key .. quota.metric] = taken_of(key .. quota.metric) + units
    end
  end
  demand.by_tenant, demand.by_org = by_tenant, by_org
  return verdict, by_tenant, by_org
end

function check.slot(demand)
  local key = demand.lent.units
  demand.held = lent_of(demand.lent) + taken_of(key)
  if demand.held >= demand.limit then
    return 0, demand.held, 0
  end
  taken[key] = taken_of(key) + 1
  return 1, demand.held, 0
end

function check.nonce(demand)
  if taken[demand.key] or redis.call('EXISTS', demand.key) == 1 then
    return 0, 0, 0
  end
  taken[demand.key] = 1
  return 1, 0, 0
end

function check.reserve(demand)
  local exist = tonumber(redis.call('HGET', demand.counts, demand.resource) or '0')
  local reserved = redis.call('ZCARD', demand.reservations) + taken_of(demand.reservations)
  local verdict = fits(exist + reserved + 1, demand.cap) and 1 or 0
  if verdict == 1 or demand.shadow then
    taken[demand.reservations] = taken_of(demand.reservations) + 1
  end
  return verdict, exist, reserved
end

function check.pass()
  return 1, 0, 0
end

local answer, refused, recalled = {GRANTED, now}, false, false
local function recall(lent)
  if channel ~= '' and lent and count_of(lent, '*:i') > 0 then
    redis.call('PUBLISH', channel, 'recall ' .. lent.units)
    recalled = true
  end
end

for _, demand in ipairs(demands) do
  local verdict, first, second = check[demand.kind](demand)
  demand.fits = verdict == 1
  if verdict ~= 1 and not demand.shadow then
    refused = true
    recall(demand.lent or (demand.rate and demand.rate.lent))
    if demand.quota then
      recall(demand.quota.of_tenant)
      recall(demand.quota.of_org)
    end
  end
  for _, number in ipairs({verdict, first, second, 0}) do
    answer[#answer + 1] = number
  end
end
if refused then
  answer[1] = recalled and RECALLED or DENIED
  return answer
end

-- Everything fits: take it. Each answers how many units it has lent beside.
local take = {}
local function idle_of(units, extra)
  return undecided and units + extra or extra
end

function take.rate(demand)
  local rate = demand.rate
  if not demand.fits then
    return 0
  end
  local cells = undecided and 1 or 0
  use(rate, 1 - cells, now)
  local extra = cells_left(rate, demand.time, demand.rest, demand.extra)
  lend(rate.lent, demand.epoch, cells + extra, cells + extra)
  return extra
end

function take.quota(demand)
  local quota, units = demand.quota, demand.units
  local extra = 0
  if demand.fits then
    extra = units_left(quota, demand.by_tenant + units, demand.by_org + units, demand.extra)
  end
  lend_quota(quota, demand.epoch, units + extra, idle_of(units, extra))
  return extra
end

function take.slot(demand)
  if not demand.fits then
    return 0
  end
  local extra = share(demand.lent, demand.limit - demand.held - 1, demand.extra)
  lend(demand.lent, demand.epoch, 1 + extra, idle_of(1, extra))
  return extra
end

function take.nonce(demand)
  redis.call('SET', demand.key, '1', 'PX', demand.milliseconds)
  return 0
end

function take.reserve(demand)
  redis.call('ZADD', demand.reservations, string.format('%.0f', now), demand.holder)
  return 0
end

function take.pass()
  return 0
end

for index, demand in ipairs(demands) do
  answer[2 + index * 4] = take[demand.kind](demand)
end
return answer

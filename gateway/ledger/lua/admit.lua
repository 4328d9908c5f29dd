-- Admit one request: check everything it demands, then take everything, or nothing.
--
-- KEYS     every key that is named below, each once
-- ARGV[1]  the time in microseconds since 1970, empty: the store's own
-- ARGV[2]  first microsecond of the period whose counters are among KEYS
-- ARGV[3]  first microsecond after that period
-- ARGV[4]  when those counters expire, in seconds since 1970
-- ARGV[5]  worker that asks
-- ARGV[6]  length of a record's lease in milliseconds
-- ARGV[7]  milliseconds after which a lease that was not renewed is forgotten
-- ARGV[8]  number of records; then for each
--            key      hash of the record
--            leases   key of the sorted set of its leases: workers by the end of their lease, in milliseconds since 1970
--            version  that the request was decided under, 0: none is stored
-- then the demands, each starting with its kind. A key is its index in KEYS, 0: none. A cap of -1 is none, of 0 blocks.
--   rate   key, window, count, interval, interval_rest, tolerance, tolerance_rest
--            GCRA. The theoretical arrival time and the interval between two cells are whole microseconds and a rest in
--            units of 1/count of one, so that nothing is ever rounded. A cell is admitted where the arrival time after it
--            is at most `tolerance` ahead of now. A count of 0 blocks. Where the limit has changed since, as many cells
--            stay used as were. Where the clock has gone back since, the bucket is as empty as it can be, and no emptier.
--   quota  tenant_key, org_key, credential_key, metric, credential_field, cap, org_cap, units
--   nonce  key, milliseconds
--   slot   key, limit, holder, milliseconds
--   reserve  reservations_key, counts_key, resource, cap, holder
--   release  nothing: what is deleted is counted when it is gone
--   shadow before one of these but a nonce: it refuses nothing. Where it does not fit, its units are counted all the same, and of
--            a rate or a slot nothing is taken.
--
-- Answers {verdict, now, ...}, whole numbers:
--   0  granted  three for each demand, see below: everything was taken
--   1  denied   likewise: nothing was taken
--   2  changed  the places of those records (from 1) that have another version: nothing was taken
--   3  period   now is in another period: nothing was taken
-- Granted or denied, the records are leased to the worker, all of them in the versions that it named.
-- Of a demand: 1 where it fits, else 0 (a quota that only the organization's cap refuses: -1); then
--   rate   arrival time ahead of now: microseconds, rest (after the cell where it fits, as it is where not)
--   quota  units used by the tenant, by the organization, before the request
--   slot   slots held before the request, 0
--   nonce  0, 0
--   reserve  how many exist, how many are reserved, before the request
--   release  0, 0
--
-- All arithmetic is in whole numbers below 2^53 (but where a limit has changed: rounded up, once). Two demands of one request
-- on the same bucket see each other.

local GRANTED, DENIED, CHANGED, PERIOD = 0, 1, 2, 3
-- Ten years, in microseconds.
local AHEAD_MAX = 316224000000000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
if now < tonumber(ARGV[2]) or now >= tonumber(ARGV[3]) then
  return {PERIOD, now}
end

local place = 9
local function take_text()
  place = place + 1
  return ARGV[place - 1]
end
local function take_number()
  return tonumber(take_text())
end
local function take_key()
  return KEYS[take_number()]
end

local changed, leases = {CHANGED, now}, {}
for index = 1, tonumber(ARGV[8]) do
  local key, version = take_key(), nil
  leases[index], version = take_key(), take_text()
  if (redis.call('HGET', key, 'v') or '0') ~= version then
    changed[#changed + 1] = index
  end
end
if #changed > 2 then
  return changed
end
local now_ms = math.floor(now / 1000)
for _, key in ipairs(leases) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now_ms - ARGV[7])
  redis.call('ZADD', key, now_ms + ARGV[6], ARGV[5])
  redis.call('PEXPIRE', key, ARGV[7])
end

local answer, refused = {GRANTED, now}, false
local function report(fits, first, second)
  refused = refused or fits ~= 1
  answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = fits, first, second
end

-- What is to be written: arrival times by key, units by key and field, and the rest as commands.
local arrivals, units, commands = {}, {}, {}

-- Cells are told by how far ahead of now they put the arrival time: in intervals of the limit they were admitted by.
local function converted(ahead, rest, old, window, count)
  local cells = (ahead + rest / old.count) * old.count / old.window
  return math.min(math.ceil(cells * window / count), AHEAD_MAX), 0
end

local function write_arrival(key, arrival)
  local format = '%.0f %.0f %.0f %.0f %.0f'
  local text = string.format(format, arrival.time, arrival.rest, arrival.window, arrival.count, arrival.tolerance)
  redis.call('SET', key, text, 'PX', math.floor((arrival.time - now) / 1000) + 1)
end

local function arrival_of(key, window, count)
  local found = arrivals[key]
  if not found then
    local text = redis.call('GET', key)
    if not text then
      return now, 0
    end
    found = {}
    found.time, found.rest, found.window, found.count, found.tolerance = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    for name, number in pairs(found) do
      found[name] = tonumber(number)
    end
    if found.time - now > found.tolerance then
      -- The clock has gone back. Left so, the bucket would refuse until that time comes again: hence written, whatever follows.
      found.time = now + found.tolerance
      write_arrival(key, found)
    end
  end
  local ahead, rest = found.time - now, found.rest
  if ahead < 0 then
    return now, 0
  end
  if found.window ~= window or found.count ~= count then
    ahead, rest = converted(ahead, rest, found, window, count)
  end
  return now + ahead, rest
end

local function rate()
  local key, window, count = take_key(), take_number(), take_number()
  local interval, interval_rest, tolerance, tolerance_rest = take_number(), take_number(), take_number(), take_number()
  if count == 0 then
    return report(0, 0, 0)
  end
  local time, rest = arrival_of(key, window, count)
  local next_time, next_rest = time + interval, rest + interval_rest
  if next_rest >= count then
    next_time, next_rest = next_time + 1, next_rest - count
  end
  local ahead = next_time - now
  if ahead < tolerance or (ahead == tolerance and next_rest <= tolerance_rest) then
    arrivals[key] = {time = next_time, rest = next_rest, window = window, count = count, tolerance = tolerance}
    return report(1, ahead, next_rest)
  end
  return report(0, time - now, rest)
end

local function used(key, field)
  if not key then
    return 0
  end
  local fields = units[key] or {}
  return tonumber(redis.call('HGET', key, field) or '0') + (fields[field] or 0)
end

local function fits(amount, cap)
  return cap < 0 or (cap > 0 and amount <= cap)
end

local function add(key, field, amount)
  if key then
    units[key] = units[key] or {}
    units[key][field] = (units[key][field] or 0) + amount
  end
end

local shadow = false

local function quota()
  local tenant, org, credential = take_key(), take_key(), take_key()
  local metric, credential_field = take_text(), take_text()
  local cap, org_cap, amount = take_number(), take_number(), take_number()
  local by_tenant, by_org = used(tenant, metric), used(org, metric)
  local verdict = 1
  if not fits(by_tenant + amount, cap) then
    verdict = 0
  elseif not fits(by_org + amount, org_cap) then
    verdict = -1
  end
  if verdict == 1 or shadow then
    add(tenant, metric, amount)
    add(org, metric, amount)
    add(credential, credential_field, amount)
  end
  return report(verdict, by_tenant, by_org)
end

local nonces, slots = {}, {}

local function nonce()
  local key, milliseconds = take_key(), take_text()
  if nonces[key] or redis.call('EXISTS', key) == 1 then
    return report(0, 0, 0)
  end
  nonces[key] = true
  commands[#commands + 1] = {'SET', key, '1', 'PX', milliseconds}
  return report(1, 0, 0)
end

local function slot()
  local key, limit, holder, milliseconds = take_key(), take_number(), take_text(), take_number()
  local held = redis.call('ZCOUNT', key, now, '+inf') + (slots[key] or 0)
  if held >= limit then
    return report(0, held, 0)
  end
  slots[key] = (slots[key] or 0) + 1
  commands[#commands + 1] = {'ZREMRANGEBYSCORE', key, '-inf', '(' .. string.format('%.0f', now)}
  commands[#commands + 1] = {'ZADD', key, now + milliseconds * 1000, holder}
  commands[#commands + 1] = {'PEXPIRE', key, milliseconds}
  return report(1, held, 0)
end

local reserving = {}

local function reserve()
  local reservations, counts = take_key(), take_key()
  local resource, cap, holder = take_text(), take_number(), take_text()
  local exist = tonumber(redis.call('HGET', counts, resource) or '0')
  local reserved = redis.call('ZCARD', reservations) + (reserving[reservations] or 0)
  local verdict = fits(exist + reserved + 1, cap) and 1 or 0
  if verdict == 1 or shadow then
    reserving[reservations] = (reserving[reservations] or 0) + 1
    commands[#commands + 1] = {'ZADD', reservations, string.format('%.0f', now), holder}
  end
  return report(verdict, exist, reserved)
end

local function release()
  return report(1, 0, 0)
end

local kinds = {rate = rate, quota = quota, nonce = nonce, slot = slot, reserve = reserve, release = release}
while place <= #ARGV do
  local kind, before = take_text(), refused
  shadow = kind == 'shadow'
  kinds[shadow and take_text() or kind]()
  if shadow then
    refused = before
  end
end

if refused then
  answer[1] = DENIED
  return answer
end

for key, arrival in pairs(arrivals) do
  write_arrival(key, arrival)
end
for key, fields in pairs(units) do
  for field, amount in pairs(fields) do
    if redis.call('HINCRBY', key, field, amount) == amount then
      redis.call('EXPIREAT', key, ARGV[4])
    end
  end
end
for _, command in ipairs(commands) do
  redis.call(unpack(command))
end
return answer

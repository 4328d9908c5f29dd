-- Sends the requests of a list in turn, and prints what came of it as one line of JSON.
-- Environment: REQUESTS names the list, a request to a line, its headers parted by tabs; METHOD, TARGET, BODY_BYTES are the same
-- for all of them; ONCE: each is sent once at most, and the load ends with the list; RATE: requests a second, of all connections
-- together, where it is not as many as there are answers.
local MOST_BYTES = 64 * 1024 * 1024 -- of bodies in memory: of large ones the first requests have to do
local requests, count, at = {}, 0, 0
local once = os.getenv("ONCE") == "1"
local rate = tonumber(os.getenv("RATE") or "0")

function init()
  local method, target = os.getenv("METHOD"), os.getenv("TARGET")
  local bytes = tonumber(os.getenv("BODY_BYTES") or "0")
  local body = bytes > 0 and string.rep("x", bytes) or nil
  for line in io.lines(os.getenv("REQUESTS")) do
    local headers = {}
    for name, value in line:gmatch("([^\t:]+): ([^\t]*)") do headers[name] = value end
    count = count + 1
    requests[count] = wrk.format(method, target, headers, body)
    if count * bytes > MOST_BYTES then break end
  end
end

function request()
  at = at + 1
  if at > count then
    if once then
      wrk.thread:stop()
      at = count
    else
      at = 1
    end
  end
  return requests[at]
end

if rate > 0 then
  local ffi = require "ffi"
  ffi.cdef "typedef struct { long s, ns; } instant; int clock_gettime(int clock, instant *now);"
  local MONOTONIC, instant, due = 1, ffi.new("instant"), 0

  -- What is late is sent at once, and not made up for by a burst.
  function delay()
    ffi.C.clock_gettime(MONOTONIC, instant)
    local now = tonumber(instant.s) * 1000 + tonumber(instant.ns) / 1e6
    due = math.max(due + 1000 / rate, now)
    return math.floor(due - now)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answers": %d, "refused": %d, "failed": %d, "microseconds": %d, "p50": %d, "p99": %d, "bytes": %d}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes))
end

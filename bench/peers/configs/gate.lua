-- The policies of nginx-lua.conf: a JWT (HS256), the tenant's header, suspension, rate and quota, and the identity upstream.
local cjson = require "cjson.safe"
local lrucache = require "resty.lrucache"
local redis = require "nginx.redis"
local hs256 = require "hs256"

local verified = lrucache.new(10000)
local answered = ngx.shared.answered
local BURST, INTERVAL_US, QUOTA, QUOTA_TTL = 1000000, 10, 1000000000000, 3000000
local secret, script, store, use_cache, sha

local _M = {}

function _M.configure(given)
  secret, store, use_cache = given.secret, given.store, given.cache
  local file = assert(io.open(given.script, "rb"))
  script = file:read("*a")
  file:close()
end

local function holds(claims)
  local now = ngx.now()
  return type(claims.exp) == "number" and claims.exp > now and claims.iss == "https://idp.example" and claims.aud == "api"
    and type(claims.tenant) == "string" and type(claims.sub) == "string"
end

local function verify(token)
  local head, payload, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  if not head then return nil end
  local header = cjson.decode(hs256.decode_base64url(head) or "")
  if type(header) ~= "table" or header.alg ~= "HS256" then return nil end
  if not hs256.verify(secret, head .. "." .. payload, hs256.decode_base64url(signature) or "") then return nil end
  local claims = cjson.decode(hs256.decode_base64url(payload) or "")
  return type(claims) == "table" and holds(claims) and claims or nil
end

local function claims_of(authorization)
  if type(authorization) ~= "string" or authorization:sub(1, 7) ~= "Bearer " then return nil end
  local token = authorization:sub(8)
  local claims = use_cache and verified:get(token)
  if claims and claims.exp > ngx.now() then return claims end
  claims = verify(token)
  if claims and use_cache then verified:set(token, claims, 60) end
  return claims
end

local function decide(tenant)
  local connection = redis:new()
  connection:set_timeout(1000)
  if not connection:connect("127.0.0.1", store) then return nil end
  if not sha then sha = connection:script("LOAD", script) end
  local suspended, rate, quota = "{" .. tenant .. "}:s", "{" .. tenant .. "}:r", "{" .. tenant .. "}:q"
  local answer = connection:evalsha(sha, 3, suspended, rate, quota, INTERVAL_US, BURST, QUOTA, 1, QUOTA_TTL)
  connection:set_keepalive(60000, 256)
  return answer
end

function _M.admit()
  local headers = ngx.req.get_headers()
  local claims = claims_of(headers["authorization"])
  if not claims then return ngx.exit(401) end
  local tenant = claims.tenant
  if tenant ~= headers["x-tenant"] then return ngx.exit(403) end
  local answer = decide(tenant)
  if not answer then return ngx.exit(503) end
  if answer[1] ~= 0 then return ngx.exit(answer[1] == 1 and 403 or 429) end
  ngx.req.set_header("X-Tenant-Id", tenant)
  ngx.req.set_header("X-Subject", claims.sub)
  answered:incr("ok", 1, 0)
end

return _M

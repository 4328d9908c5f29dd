-- HS256 (RFC 7515) on OpenSSL's HMAC, which nginx has loaded already. Debian has no JWT library for Lua.
local ffi = require "ffi"
local C = ffi.C

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len, const unsigned char *data, size_t data_len,
                    unsigned char *mac, unsigned int *mac_len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]

local SHA256 = C.EVP_sha256()
local mac, mac_length = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]")
local decode = require("ngx.base64").decode_base64url

local _M = { decode_base64url = decode }

function _M.verify(key, message, signature)
  if #signature ~= 32 then return false end
  if C.HMAC(SHA256, key, #key, message, #message, mac, mac_length) == nil then return false end
  return C.CRYPTO_memcmp(mac, signature, 32) == 0
end

return _M

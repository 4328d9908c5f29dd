"""Where the peers' programs are, if they are installed."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OWN = ROOT / ".tenantgate/peers/bin"
# A user's PATH often leaves out the second.
_PLACES = (_OWN, Path("/usr/sbin"))
MODULES = Path("/usr/lib/nginx/modules")
_LUA = (
    MODULES / "ngx_http_lua_module.so",
    Path("/usr/share/lua/5.1/resty/lrucache.lua"),
    Path("/usr/share/lua/5.1/nginx/redis.lua"),
)


def find(name: str) -> Path | None:
    """`nginx-lua` is the module, with the libraries that its configuration uses."""
    if name == "nginx-lua":
        return _LUA[0] if all(path.exists() for path in _LUA) else None
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    found = shutil.which(name)
    return Path(found) if found else None

"""A browser origin in the one spelling that browsers send (RFC 6454, 6.2; WHATWG URL): `scheme://host[:port]`."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def normal_origin(text: str) -> str:
    """`text` in lower case and without a default port. Raises ValueError where it is no http or https origin."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError("must be origins such as https://app.example.com: scheme, host, port, and no path, no *, no null")
    scheme, host, port = match[1].lower(), match[2].lower(), int(match[3] or 0)
    if match[3] is not None and not 0 < port < 65536:
        raise ValueError("must have ports from 1 to 65535")
    authority = f"[{_address(host[1:-1])}]" if host.startswith("[") else _name(host)
    return f"{scheme}://{authority}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")


def _name(host: str) -> str:
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("must have a host of letters, digits, hyphens and dots")
    return host


def _address(text: str) -> str:
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise ValueError("must have a valid IPv6 address between [ and ]") from None

"""Requests that two readers could understand differently, as bytes: each list is one way to be odd."""

from __future__ import annotations

from dataclasses import dataclass

from .stack import Customer
from .wire import head

CHUNKED, FIVE, EMPTY, CLOSE = b"Transfer-Encoding: chunked", b"Content-Length: 5", b"0\r\n\r\n", b"Connection: close"

FRAMINGS: list[tuple[bytes, ...]] = [
    (FIVE, CHUNKED),
    (CHUNKED, FIVE),
    (FIVE, b"Content-Length: 10"),
    (FIVE, FIVE),
    (b"Content-Length: 5, 5",),
    *(
        (b"Content-Length: " + value,)
        for value in (b"+5", b"1_0", b"0x5", b"-0", b"-5", b"05", b"5 5", b"5;", b"5.0", b"", b"\xb2", b"5\x0b", b"9" * 20)
    ),
    *(
        (b"Transfer-Encoding: " + value,)
        for value in (
            b"xchunked",
            b",chunked",
            b"identity",
            b"\x0bchunked",
            b"chunked\x0b",
            b"gzip, chunked",
            b"chunked, gzip",
            b"chunked;a=b",
            b'"chunked"',
            b"",
            b"chunked,",
        )
    ),
    (b"Transfer-Encoding: chunked, chunked",),
    (b"Transfer-Encoding: chunked, identity",),
    (CHUNKED, CHUNKED),
    (CHUNKED, b"Transfer-Encoding: identity"),
    (b"Transfer-Encoding: identity", CHUNKED),
    (b"Transfer-Encoding : chunked",),
    (b"Content-Length : 5",),
    (b"Content-Length\t: 5",),
    (b" Content-Length: 5",),
    (b"Transfer_Encoding: chunked",),
    (b"Content_Length: 5",),
    (b"Transfer-Encoding:\r\n chunked",),
    (b"X-A: v\n" + CHUNKED,),
    (b"X-A: v\r" + CHUNKED,),
]

CHUNKS: list[bytes] = [
    b"0x1\r\na\r\n0\r\n\r\n",
    b"+1\r\na\r\n0\r\n\r\n",
    b"0_1\r\na\r\n0\r\n\r\n",
    b" 1\r\na\r\n0\r\n\r\n",
    b"1 \r\na\r\n0\r\n\r\n",
    b"1\t\r\na\r\n0\r\n\r\n",
    b"-1\r\na\r\n0\r\n\r\n",
    b"-0\r\n\r\n",
    b"\r\na\r\n0\r\n\r\n",
    b"g\r\na\r\n0\r\n\r\n",
    b"F" * 17 + b"\r\na\r\n0\r\n\r\n",
    b"1" + b"0" * 16 + b"\r\na\r\n0\r\n\r\n",
    b"2;\nab\r\n0\r\n\r\n",
    b"2;a\rb\r\nab\r\n0\r\n\r\n",
    b"2;a\0b\r\nab\r\n0\r\n\r\n",
    b"1\rXa\r\n0\r\n\r\n",
    b"1\r\nZXX0\r\n\r\n",
    b"1\r\na0\r\n\r\n",
    b"1\r\na\n0\r\n\r\n",
    b"1\r\na\r0\r\n\r\n",
    b"1\na\r\n0\r\n\r\n",
    b"1\r\na\r\n0\n\n",
    b"1\r\na\r\n0\r\n\n",
    b"1\r\na\r\n0\r\nX-A\r\n\r\n",
    b"1\r\na\r\n0\r\nX A: v\r\n\r\n",
    b"1\r\na\r\n0\r\nX-A: v\0\r\n\r\n",
    b"1\r\na\r\n0\r\nX-A: v\r\n folded\r\n\r\n",
    b"1\r\na\r\n0\r\n: v\r\n\r\n",
]
"""Broken bodies in chunks."""

FIELDS: list[bytes] = [
    b"X-A: v\nX-B: w",
    b"X-A: v\nX-Tenant: evil",
    b"X-A: v\rX-Tenant: evil",
    b"X-A: v\r\n folded",
    b"X-A: v\r\n\tfolded",
    b"X-A:\r\n folded",
    b"X-A: v\r\n ",
    *(b"X-A: v" + octet + b"w" for octet in (b"\0", b"\r", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f")),
    *(b"X-A" + octet + b"B: v" for octet in (b"\0", b"\r", b"\x01", b"\t", b"\x7f", b"\x80", b"\xff", b"(", b"/", b'"')),
    b"X A: v",
    b"X-A : v",
    b"X-A\t: v",
    b" X-A: v",
    b": v",
    b"no colon",
    b"\r",
]
"""Broken headers, or several in what looks like one."""

LINES: list[str] = [
    *(
        f"GET {{}} {version}"
        for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2", "HTTP/2.0", "HTTP/3.0", "HTTP/1.10", "HTTP/01.1")
    ),
    *(
        f"GET {{}} {version}"
        for version in ("HTTP/1.", "HTTP/1", "HTTP/11", "HTTP/1,1", "http/1.1", "HTP/1.1", "HTTP /1.1", "1.1")
    ),
    *(f"GET {{}} HTTP/1.1{rest}" for rest in (" ", "\t", " x", "x", "\0", "\r")),
    "GET {} RTSP/1.0",
    "DESCRIBE {} RTSP/1.0",
    "SOURCE {} ICE/1.0",
    "GET {}",
    "GET {} ",
    "GET  {} HTTP/1.1",
    "GET {}  HTTP/1.1",
    "GET\t{} HTTP/1.1",
    "GET {}\tHTTP/1.1",
    "GET\x0b{} HTTP/1.1",
    " GET {} HTTP/1.1",
    "\tGET {} HTTP/1.1",
    "GET{} HTTP/1.1",
    "get {} HTTP/1.1",
    "Get {} HTTP/1.1",
    "G\0ET {} HTTP/1.1",
    "GÉT {} HTTP/1.1",
    "G(T {} HTTP/1.1",
    "GET {} {} HTTP/1.1",
    "GET {} HTTP/1.1 HTTP/1.1",
    " {} HTTP/1.1",
    "{} HTTP/1.1",
]
"""First lines that are none of HTTP/1.1 or 1.0."""

HOSTS: list[bytes | None] = [
    None,
    b"Host: a\r\nHost: a",
    b"Host: a\r\nhost: b",
    b"Host:",
    *(
        b"Host: " + value
        for value in (b"u@a", b"a,b", b"a, b", b"a b", b"a/b", b"a?b", b"a#b", b"a\\b", b"a\xff", b"a:b", b"a:", b"[::1")
    ),
    b"Host : a",
    b"Host: a\r\n b",
]

TARGETS: list[str] = [
    "{way}/../admin/{}",
    "{way}/%2e%2e/admin/{}",
    "{way}/.%2E/{}",
    "{way}/{}/.",
    "{way}/{}/..",
    "{way}/{}%2fx",
    "{way}/{}%5Cx",
    "{way}/{}\\x",
    "{way}/{};x=/../b",
    "{way}/{}%00",
    "{way}/{}%0d%0aX-A:b",
    "{way}/{}%zz",
    "{way}/{}%",
    "{way}/{}%c0%ae",
    "{way}/{}\0",
    "{way}/{}\x7f",
    "/{way}/{}",
    "{way}//{}",
    "{way}/{}#fragment",
    "{way}/{}?a#fragment",
    "{way}/\xc3\xa9{}",
    "{way}/{}?q=\xff",
    "*",
    "http://evil.test{way}/{}",
    "http://u@gateway.test{way}/{}",
    "http://gateway.test:80{way}/{}",
    "http:{way}/{}",
    "ftp://gateway.test{way}/{}",
    "gateway.test:80",
]
"""`{way}` is where a route begins, as `/api`."""

CHANGES: dict[str, tuple[bytes, bytes]] = {
    "all lines end with LF": (b"\r\n", b"\n"),
    "all lines end with CR": (b"\r\n", b"\r"),
    "lines end with CR CR LF": (b"\r\n", b"\r\r\n"),
    "the head ends with LF": (b"\r\n\r\n", b"\r\n\n"),
    "the head ends with LF LF": (b"\r\n\r\n", b"\n\n"),
    "the head ends with CR LF CR": (b"\r\n\r\n", b"\r\n\r"),
    "the first header is folded": (b"Host:", b" Host:"),
}
"""What is replaced in a sound head."""


@dataclass(frozen=True)
class Odd:
    """One odd request. `line` with the place of its path, `change` for the whole head."""

    why: str
    line: str = "GET {} HTTP/1.1"
    fields: tuple[bytes, ...] = ()
    body: bytes = b""
    host: bytes | None = b"Host: gateway.test"
    change: tuple[bytes, bytes] = (b"", b"")
    target: str = "{way}/{}"

    def at(self, way: str, marker: str, customer: Customer) -> bytes:
        path = self.target.replace("{way}", way).replace("{}", marker)
        whole = head(self.line.replace("{}", path), customer, *self.fields, host=self.host)
        old, new = self.change
        return (whole.replace(old, new) if old else whole) + self.body


POST = "POST {} HTTP/1.1"
UPGRADES: list[tuple[bytes, ...]] = [
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    (b"Connection: Upgrade", b"Upgrade: h2c"),
    (b"Upgrade: h2c",),
    (b"Connection: upgrade", b"Upgrade: TLS/1.0"),
]

ODDITIES: list[Odd] = [
    *(Odd(f"framing {fields}", POST, fields, EMPTY) for fields in FRAMINGS),
    *(Odd(f"chunks {body!r}", POST, (CHUNKED,), body) for body in CHUNKS),
    *(Odd(f"late chunks {body!r}", POST, (CHUNKED,), b"5\r\nhello\r\n" + body) for body in CHUNKS),
    *(Odd(f"field {field!r}", fields=(field,)) for field in FIELDS),
    *(Odd(f"line {line!r}", line) for line in LINES),
    *(Odd(f"host {host!r}", host=host) for host in HOSTS),
    *(Odd(f"target {target!r}", target=target) for target in TARGETS),
    *(Odd(why, change=change) for why, change in CHANGES.items()),
    *(Odd(f"upgrade {fields}", fields=fields) for fields in UPGRADES),
    *(Odd(f"upgrade with a body {fields}", POST, (*fields, FIVE), b"hello") for fields in UPGRADES),
    Odd("an upgrade of two protocols", fields=(b"Connection: Upgrade", b"Upgrade: h2c, websocket")),
    Odd("empty lines before it", change=(b"GET", b"\r\n\r\nGET")),
    Odd("an empty line of LF before it", change=(b"GET", b"\nGET")),
    Odd("a body after GET", fields=(FIVE,), body=b"hello"),
    Odd("chunks after GET", fields=(CHUNKED,), body=b"1\r\na\r\n0\r\n\r\n"),
    Odd("a chunk with an extension", POST, (CHUNKED,), b'3;a=b;c="d"\r\nabc\r\n0;e\r\n\r\n'),
    Odd("a chunk's size with zeros before it", POST, (CHUNKED,), b"0003\r\nabc\r\n000\r\n\r\n"),
    Odd("a chunk's size with a hundred zeros before it", POST, (CHUNKED,), b"0" * 100 + b"1\r\na\r\n0\r\n\r\n"),
    Odd("a chunk of 2^60 bytes", POST, (CHUNKED,), b"1" + b"0" * 15 + b"\r\na\r\n0\r\n\r\n"),
    Odd("an upper-case coding", POST, (b"transfer-encoding: CHUNKED",), b"A\r\n0123456789\r\n0\r\n\r\n"),
    Odd("trailers", POST, (CHUNKED,), b"3\r\nabc\r\n0\r\nX-Tenant: evil\r\nX-Trailer: v\r\n\r\n"),
    Odd("trailers that speak of a length", POST, (CHUNKED,), b"3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n"),
    Odd("trailers that speak of chunks", POST, (CHUNKED,), b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    Odd("HTTP/1.0", "GET {} HTTP/1.0"),
    Odd("HTTP/1.0 with chunks", "POST {} HTTP/1.0", (CHUNKED,), EMPTY),
    Odd("framing named in Connection", POST, (b"Connection: Content-Length", FIVE), b"hello"),
    Odd("identity named in Connection", fields=(b"Connection: X-Tenant, Host, X-Gateway-Identity",)),
    Odd("bytes beyond ASCII in a value", fields=(b"X-A: \x80\x85\xa0\xff",)),
    Odd("an empty value", fields=(b"X-A:", b"X-B:   ")),
    Odd("tabs and spaces around a value", fields=(b"X-A: \t v\tw \t ",)),
    Odd("a name twice", fields=(b"X-A: 1", b"x-a: 2")),
    Odd("any name that is a token", fields=(b"!#$%&'*+-.^_`|~09: v",)),
    Odd("Expect", POST, (b"Expect: 100-continue", FIVE), b"hello"),
    Odd("another Expect", POST, (b"Expect: magic", FIVE), b"hello"),
    Odd("an absolute target", target="http://GATEWAY.test{way}/{}?x"),
    Odd("a query of odd bytes", target='{way}/{}?a=[b]|{c}^`"<>\\&&=%00%2f?'),
    Odd("a path of odd bytes", target="{way}/{}~!$&'()*+,=:@%20%7e%C3%A9"),
    Odd("an empty query", target="{way}/{}?"),
]

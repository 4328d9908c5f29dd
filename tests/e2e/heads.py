"""Requests as hypothesis makes them, to be sent again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

ROUTES = {
    "public": ("/open",),
    "token": ("/api", "/metered", "/single"),
    "key": ("/api", "/support"),
    "platform key": ("/api", "/support"),
    "widget key": ("/api",),
    "nobody": ("/api", "/metered"),
}
"""Where each kind of caller asks, beginnings of paths."""


@dataclass(frozen=True)
class Repeated:
    """`caller` is a kind of `ROUTES`. `fields` are lines without their ends; `chunked`: the body comes in one chunk."""

    caller: str
    route: str
    method: str
    rest: str
    absolute: bool
    fields: tuple[bytes, ...]
    body: bytes | None
    chunked: bool
    places: Sequence[float]

    def text(self, proof: Sequence[str], marker: str, *more: str) -> bytes:
        """`marker` stands in the query, `more` are further lines."""
        target = f"{self.route}/{self.rest}?m={marker}"
        lines = [
            f"{self.method} {'http://gateway.test' if self.absolute else ''}{target} HTTP/1.1".encode(),
            b"Host: gateway.test",
        ]
        lines += [line.encode() for line in proof]
        lines += self.fields
        body = self.body or b""
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        elif self.body is not None:
            lines.append(b"Content-Length: %d" % len(self.body))
        lines += [line.encode() for line in more]
        return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


_NAMES = st.one_of(
    st.sampled_from([b"X-Made", b"x-mADE", b"Cookie", b"Accept", b"Content-Type", b"Range", b"Via", b"Origin", b"Referer"]),
    st.sampled_from([b"X-Forwarded-For", b"X-Request-Id", b"Forwarded", b"X-Auth-Subject", b"X-Usage-Units", b"X_Tenant"]),
    st.sampled_from([b"TE", b"Keep-Alive", b"Upgrade", b"Expect", b"Proxy", b"X-Http-Method", b"X-Tenant-Id", b"X-Tenant"]),
    st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=6).map(lambda name: b"X-Made-" + name.encode()),
)
_VALUES = st.one_of(
    st.lists(st.sampled_from(b'ab: ,;="\t\x80\xff?%'), max_size=8).map(bytes),
    st.sampled_from([b"192.0.2.1", b"a-request-id-of-its-own", b"close", b"100-continue", b"x" * 3000, b"https://a.example"]),
)
_LINES = st.one_of(
    st.builds(
        lambda name, before, value, after: b"%b:%b%b%b" % (name, before, value, after),
        _NAMES,
        st.sampled_from([b"", b" ", b"   ", b"\t "]),
        _VALUES,
        st.sampled_from([b"", b" ", b" \t"]),
    ),
    st.sampled_from(
        [
            b"Connection: keep-alive",
            b"Connection: X-Made, Cookie",
            b"Connection: close",
            b"Connection: upgrade, X-Tenant",
            b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
            b"traceparent:  \t00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01 ",
            b"traceparent: 00-none",
            b"Access-Control-Request-Method: GET",
        ]
    ),
)
_BODIES = st.one_of(st.none(), st.none(), st.just(b""), st.binary(max_size=20), st.just(b"GET /open/x HTTP/1.1\r\n\r\n"))

repeated = st.sampled_from(sorted(ROUTES)).flatmap(
    lambda caller: st.builds(
        Repeated,
        caller=st.just(caller),
        route=st.sampled_from(ROUTES[caller]),
        method=st.sampled_from(["GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"]),
        rest=st.text("ab~!$&'()*+,=:@", max_size=5),
        absolute=st.sampled_from([False, False, False, True]),
        fields=st.lists(_LINES, max_size=4).map(tuple),
        body=_BODIES,
        chunked=st.sampled_from([False, False, False, True]),
        places=st.one_of(st.just([]), st.lists(st.floats(0, 1), max_size=2)),
    )
)

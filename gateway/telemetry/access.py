"""The access log: one line of JSON for each request, when its answer has ended. What is the same for all requests of a caller
is rendered once."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _quoted
from typing import TextIO

from gateway.clock import Clock
from gateway.errors import Problem
from gateway.pipeline.memo import IdentityMemo
from gateway.pipeline.principal import Principal
from gateway.tenancy.tenant import Tenant

from .redaction import redact_text

_LONGEST_PATH, _LONGEST_METHOD = 1024, 32
# What POSIX lets a pipe take at once (PIPE_BUF), so that the lines of several processes on one pipe don't mix.
_AT_ONCE = 4096
# Our own ids. They need no escapes, and nothing that looks like a secret is hexadecimal.
_is_hexadecimal = re.compile(r"[0-9a-f]+").fullmatch
# What follows a number of thousands: thousandths as a duration has them, and as a time does.
_FRACTIONS = tuple("." + (f"{n:03d}".rstrip("0") or "0") for n in range(1000))
_MILLISECONDS = tuple(f".{n:03d}" for n in range(1000))
_OK = '"code":"OK",'
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class AccessEntry:
    """One answered request. `path` is without its query. Durations are in seconds; `problem` is None where the request was
    admitted; `shadowed`: with what policies in shadow would have refused it; `upstream_seconds` is the time from the request's
    end to the upstream's answer."""

    request_id: str
    method: str
    path: str
    client_ip: str
    status: int
    seconds: float
    route: str | None = None
    problem: Problem | None = None
    principal: Principal | None = None
    tenant: Tenant | None = None
    upstream: str | None = None
    upstream_seconds: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    shadowed: tuple[Problem, ...] = ()
    overruns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the lines of requests of one kind have in common, as it stands in them: what was `asked` for, by which `caller`."""

    asked: str
    caller: str


class AccessLog:
    """`worker`: the number of this process among several. Lines leave at the end of the event loop's turn, together."""

    def __init__(self, stream: TextIO, clock: Clock, worker: int | None = None) -> None:
        self._stream = stream
        self._now = clock.now
        self._second, self._opening = -1, ""
        self._event = '"event":"request",' + ("" if worker is None else f'"worker":{worker},')
        self._callers = IdentityMemo[str]()
        self._lines: list[str] = []

    def write(self, entry: AccessEntry) -> None:
        """What is not known of the request has no key in its line."""
        self.add(
            self.subject(entry.method, entry.path, entry.client_ip, entry.route, entry.principal, entry.tenant, entry.upstream),
            entry.request_id,
            entry.status,
            entry.seconds,
            entry.upstream_seconds,
            entry.bytes_in,
            entry.bytes_out,
            _outcome(entry),
        )

    def subject(
        self,
        method: str,
        path: str,
        client_ip: str,
        route: str | None,
        principal: Principal | None,
        tenant: Tenant | None,
        upstream: str | None,
    ) -> Subject:
        """See `AccessEntry`. What is empty or None has no key in the lines."""
        caller = self._callers(lambda: _caller(route, principal, tenant, upstream), route, principal, tenant, upstream)
        return Subject(_asked(method, path, client_ip), caller)

    def add(
        self,
        subject: Subject,
        request_id: str,
        status: int,
        seconds: float,
        upstream_seconds: float | None,
        bytes_in: int,
        bytes_out: int,
        outcome: str = _OK,
    ) -> None:
        """A line of a request of this kind. `outcome` is rendered; without it the request was admitted, and nothing was odd."""
        second, millisecond = divmod(int(self._now() * 1000), 1000)
        if second != self._second:
            self._second, self._opening = second, f'{{"time":"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}'
        told_id = f'"{request_id}"' if _is_hexadecimal(request_id) else redact_text(_quoted(request_id))
        duration = int(seconds * 1e6 + 0.5)
        if upstream_seconds is None:
            waited = ""
        else:
            first_byte = int(upstream_seconds * 1e6 + 0.5)
            waited = f',"upstream_ms":{first_byte // 1000}{_FRACTIONS[first_byte % 1000]}'
        self._lines.append(
            f'{self._opening}{_MILLISECONDS[millisecond]}+00:00","level":"{"error" if status >= 500 else "info"}",{self._event}'
            f'"request_id":{told_id},{subject.asked}"status":{status},{outcome}'
            f'"duration_ms":{duration // 1000}{_FRACTIONS[duration % 1000]},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out}{waited}{subject.caller}}}\n'
        )
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        text = ""
        for line in lines:
            if len(text) + len(line) > _AT_ONCE:
                self._emit(text)
                text = ""
            text += line
        self._emit(text)

    def _emit(self, text: str) -> None:
        # A full disk or a reader that has gone must not fail requests that were answered.
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            return


def _asked(method: str, path: str, client_ip: str) -> str:
    path = path.partition("?")[0][:_LONGEST_PATH]
    return redact_text(
        f'"method":{_quoted(method[:_LONGEST_METHOD])},'
        + (f'"path":{_quoted(path)},' if path else "")
        + (f'"client_ip":{_quoted(client_ip)},' if client_ip else "")
    )


def _outcome(entry: AccessEntry) -> str:
    problem = entry.problem
    told = _OK if problem is None else f'"code":"{problem.code}","owner":"{problem.owner}",'
    if entry.shadowed:
        told += f'"shadow":{_encode([shadowed.code for shadowed in entry.shadowed])},'
    if entry.overruns:
        told += f'"overrun":{_encode(dict(entry.overruns))},'
    return told


def _caller(route: str | None, principal: Principal | None, tenant: Tenant | None, upstream: str | None) -> str:
    fields = {
        "route": route,
        "tenant": None if tenant is None else tenant.slug,
        "tenant_id": None if tenant is None else tenant.typeid,
        "auth_method": None if principal is None else principal.method,
        "credential_id": None if principal is None else principal.credential_id,
        "upstream": upstream,
    }
    known = {key: value for key, value in fields.items() if value is not None and value != ""}
    return redact_text("," + _encode(known)[1:-1]) if known else ""

"""The access log: one line of JSON for each request, when its answer has ended. What is the same for all requests of a caller
is rendered once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
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


class AccessLog:
    """`worker`: the number of this process among several. Lines leave at the end of the event loop's turn, together."""

    def __init__(self, stream: TextIO, clock: Clock, worker: int | None = None) -> None:
        self._stream = stream
        self._clock = clock
        self._worker = "" if worker is None else f',"worker":{worker}'
        self._callers = IdentityMemo[str]()
        self._lines: list[str] = []

    def write(self, entry: AccessEntry) -> None:
        """What is not known of the request has no key in its line."""
        caller = self._callers(lambda: _caller(entry), entry.route, entry.principal, entry.tenant, entry.upstream)
        level = "error" if entry.status >= 500 else "info"
        self._lines.append(
            f'{{"time":"{_iso(self._clock.now())}","level":"{level}","event":"request"{self._worker},{_said(entry)}'
            f'"status":{entry.status},{_outcome(entry)}"duration_ms":{_milliseconds(entry.seconds)},'
            f'"bytes_in":{entry.bytes_in},"bytes_out":{entry.bytes_out}{_waited(entry)}{caller}}}\n'
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
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def _said(entry: AccessEntry) -> str:
    """What comes from outside."""
    path = entry.path.partition("?")[0][:_LONGEST_PATH]
    return redact_text(
        f'"request_id":{_encode(entry.request_id)},"method":{_encode(entry.method[:_LONGEST_METHOD])},'
        + (f'"path":{_encode(path)},' if path else "")
        + (f'"client_ip":{_encode(entry.client_ip)},' if entry.client_ip else "")
    )


def _outcome(entry: AccessEntry) -> str:
    problem = entry.problem
    told = '"code":"OK",' if problem is None else f'"code":"{problem.code}","owner":"{problem.owner}",'
    if entry.shadowed:
        told += f'"shadow":{_encode([shadowed.code for shadowed in entry.shadowed])},'
    if entry.overruns:
        told += f'"overrun":{_encode(dict(entry.overruns))},'
    return told


def _waited(entry: AccessEntry) -> str:
    return "" if entry.upstream_seconds is None else f',"upstream_ms":{_milliseconds(entry.upstream_seconds)}'


def _caller(entry: AccessEntry) -> str:
    principal, tenant = entry.principal, entry.tenant
    fields = {
        "route": entry.route,
        "tenant": None if tenant is None else tenant.slug,
        "tenant_id": None if tenant is None else tenant.typeid,
        "auth_method": None if principal is None else principal.method,
        "credential_id": None if principal is None else principal.credential_id,
        "upstream": entry.upstream,
    }
    known = {key: value for key, value in fields.items() if value is not None and value != ""}
    return redact_text("," + _encode(known)[1:-1]) if known else ""


def _iso(instant: float) -> str:
    return f"{_second(int(instant))}.{int(instant * 1000) % 1000:03d}+00:00"


@lru_cache(4)
def _second(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)

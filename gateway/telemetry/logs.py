"""Log lines: JSON, one line each, without secrets. A request gets exactly one, when its answer has ended.

Control characters can't forge a line: JSON escapes them, and all that is not ASCII.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.clock import Clock
from gateway.errors import Problem
from gateway.pipeline.principal import Principal
from gateway.tenancy.tenant import Tenant

from .redaction import redact_names, redact_text

_LONGEST_PATH, _LONGEST_METHOD = 1024, 32
_encode = json.JSONEncoder(separators=(",", ":"), default=repr).encode


def configure(stream: TextIO, level: str = "INFO", worker: int | None = None) -> None:
    """Send everything that is logged in this process, by libraries too, to `stream` as JSON lines.

    `worker`: the number of this process among several.

    uvicorn's own access log stays off: it writes queries, and queries may hold keys. So does httpx's. What uvicorn says when it
    starts and stops, once for each listener, is said better by the command.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                _describer(worker),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("httpx", "httpcore", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
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
    """`worker`: the number of this process among several. Each line is one write, so that those of several don't mix."""

    def __init__(self, stream: TextIO, clock: Clock, worker: int | None = None) -> None:
        self._logger = structlog.WriteLogger(stream)
        self._clock = clock
        self._worker = worker

    def write(self, entry: AccessEntry) -> None:
        """What is not known of the request has no key in its line."""
        known = {key: value for key, value in self._fields(entry).items() if value is not None and value != ""}
        line = redact_text(_encode(known))
        # A full disk or a reader that has gone must not fail a request that was answered.
        with suppress(OSError):
            self._logger.msg(line)

    def _fields(self, entry: AccessEntry) -> dict[str, object]:
        problem, principal, tenant = entry.problem, entry.principal, entry.tenant
        return {
            "time": _iso(self._clock.now()),
            "level": "error" if entry.status >= 500 else "info",
            "event": "request",
            "worker": self._worker,
            "request_id": entry.request_id,
            "route": entry.route,
            "method": entry.method[:_LONGEST_METHOD],
            "path": entry.path.partition("?")[0][:_LONGEST_PATH],
            "status": entry.status,
            "code": "OK" if problem is None else problem.code,
            "owner": None if problem is None else problem.owner,
            "shadow": [shadowed.code for shadowed in entry.shadowed] or None,
            "overrun": dict(entry.overruns) or None,
            "duration_ms": _milliseconds(entry.seconds),
            "tenant": None if tenant is None else tenant.slug,
            "tenant_id": None if tenant is None else tenant.typeid,
            "auth_method": None if principal is None else principal.method,
            "credential_id": None if principal is None else principal.credential_id,
            "client_ip": entry.client_ip,
            "bytes_in": entry.bytes_in,
            "bytes_out": entry.bytes_out,
            "upstream": entry.upstream,
            "upstream_ms": None if entry.upstream_seconds is None else _milliseconds(entry.upstream_seconds),
        }


def _describer(worker: int | None) -> Processor:
    own = {} if worker is None else {"worker": worker}

    def describe(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event["_record"]
        return {"time": _iso(record.created), "level": record.levelname.lower(), "logger": record.name, **own, **event}

    return describe


def _render(_: WrappedLogger, method: str, event: EventDict) -> str:
    return redact_text(_encode(redact_names(event)))


def _iso(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)

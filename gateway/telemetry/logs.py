"""Log lines: JSON, one line each, without secrets.

Control characters can't forge a line: JSON escapes them, and all that is not ASCII.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .redaction import redact_names, redact_text

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

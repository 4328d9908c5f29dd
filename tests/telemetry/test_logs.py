from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RATE_LIMITED
from gateway.telemetry.access import AccessEntry, AccessLog
from gateway.telemetry.logs import configure
from tests.samples import ACME, BOUND_KEY

ENTRY = AccessEntry(
    request_id="r1",
    method="GET",
    path="/api/v1/users",
    client_ip="203.0.113.7",
    status=200,
    seconds=0.00321,
    route="users",
    principal=BOUND_KEY,
    tenant=ACME,
    upstream="clinic",
    upstream_seconds=0.002,
    bytes_in=10,
    bytes_out=1024,
)


class At:
    """A clock that stands."""

    def __init__(self, instant: float = 1_775_001_600.123) -> None:
        self.instant = instant

    def now(self) -> float:
        return self.instant

    def monotonic(self) -> float:
        return 0.0


def written(entry: AccessEntry) -> dict[str, object]:
    stream = io.StringIO()
    AccessLog(stream, At()).write(entry)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert text.isascii()
    return json.loads(text)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this process logs to; afterwards everything is as it was."""
    root = logging.getLogger()
    named = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore")]
    before = root.handlers[:], root.level, [(x.handlers[:], x.propagate, x.disabled, x.level) for x in named]
    stream = io.StringIO()
    root.handlers = []
    configure(stream)
    yield stream
    root.handlers, root.level = before[0], before[1]
    for logger, (handlers, propagate, disabled, level) in zip(named, before[2], strict=True):
        logger.handlers, logger.propagate, logger.disabled = handlers, propagate, disabled
        logger.setLevel(level)


def logged(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestTheAccessLog:
    def test_tells_of_a_request_in_one_line(self):
        assert written(ENTRY) == {
            "time": "2026-04-01T00:00:00.123+00:00",
            "level": "info",
            "event": "request",
            "request_id": "r1",
            "route": "users",
            "method": "GET",
            "path": "/api/v1/users",
            "status": 200,
            "code": "OK",
            "duration_ms": 3.21,
            "tenant": "acme",
            "tenant_id": ACME.typeid,
            "auth_method": "api_key",
            "credential_id": "key_1",
            "client_ip": "203.0.113.7",
            "bytes_in": 10,
            "bytes_out": 1024,
            "upstream": "clinic",
            "upstream_ms": 2.0,
        }

    def test_tells_of_a_refusal_and_who_has_to_act(self):
        line = written(replace(ENTRY, status=429, problem=RATE_LIMITED))
        assert (line["code"], line["owner"], line["level"]) == ("RATE_LIMITED", "client", "info")

    def test_raises_its_voice_for_an_outage(self):
        assert written(replace(ENTRY, status=503))["level"] == "error"

    def test_leaves_out_what_is_not_known(self):
        assert written(AccessEntry("r1", "GET", "", "", 400, 0.001)).keys() == {
            "time",
            "level",
            "event",
            "request_id",
            "method",
            "status",
            "code",
            "duration_ms",
            "bytes_in",
            "bytes_out",
        }

    @pytest.mark.parametrize(
        ("instant", "told"),
        [
            (0.0, "1970-01-01T00:00:00.000+00:00"),
            (1_775_001_600.0, "2026-04-01T00:00:00.000+00:00"),
            (1_775_001_600.999, "2026-04-01T00:00:00.999+00:00"),
            (1_775_001_600.9999999, "2026-04-01T00:00:01.000+00:00"),
        ],
    )
    def test_tells_the_time_in_utc_to_the_millisecond(self, instant, told):
        stream = io.StringIO()
        AccessLog(stream, At(instant)).write(ENTRY)
        assert json.loads(stream.getvalue())["time"] == told

    def test_tells_the_time_of_each_line(self):
        stream, clock = io.StringIO(), At()
        log = AccessLog(stream, clock)
        for seconds in (0.0, 0.002, 1.0, 86_400.0, -86_400.0):
            clock.instant += seconds
            log.write(ENTRY)
        assert [line["time"][8:23] for line in logged(stream)] == [
            "01T00:00:00.123",
            "01T00:00:00.125",
            "01T00:00:01.125",
            "02T00:00:01.125",
            "01T00:00:01.125",
        ]

    @given(st.integers(0, 10**9), st.floats(-0.49, 0.49))
    def test_tells_durations_to_the_nearest_microsecond(self, microseconds, part):
        stream, exact = io.StringIO(), (microseconds + part) / 1e6 if microseconds else 0.0
        AccessLog(stream, At()).write(replace(ENTRY, seconds=exact, upstream_seconds=exact))
        assert f'"duration_ms":{microseconds / 1000},' in stream.getvalue()
        assert f'"upstream_ms":{microseconds / 1000},' in stream.getvalue()

    def test_never_holds_a_query(self):
        line = written(replace(ENTRY, path="/widget?public_key=hidden&x=1"))
        assert line["path"] == "/widget"
        assert "hidden" not in json.dumps(line)

    def test_masks_a_key_that_was_pasted_into_a_path(self):
        line = written(replace(ENTRY, path="/api/tg_live_0123456789abcdefghijABCDEFGHIJ/x"))
        assert line["path"] == "/api/[redacted]/x"

    @pytest.mark.parametrize(
        "forged", ['"}\n{"event":"forged"', "\r\nforged", "\u2028forged", "\x1b[2Jforged", "\x00", "\ud800"]
    )
    def test_cannot_be_forged_by_what_a_client_sends(self, forged):
        line = written(replace(ENTRY, path=f"/{forged}", method=forged, request_id=forged))
        assert line["event"] == "request"
        assert line["request_id"] == forged

    def test_bounds_what_a_client_sends(self):
        line = written(replace(ENTRY, path="/" + "a" * 8000, method="M" * 8000))
        assert len(json.dumps(line)) < 2000

    async def test_leaves_at_the_end_of_the_turn_in_whole_lines_of_which_a_pipe_takes_each_write_at_once(self):
        writes = []

        class Pipe(io.StringIO):
            def write(self, text):
                writes.append(text)
                return len(text)

        log = AccessLog(Pipe(), At())
        for number in range(100):
            log.write(replace(ENTRY, request_id=f"r{number}"))
        assert writes == []
        await asyncio.sleep(0)
        assert [json.loads(line)["request_id"] for line in "".join(writes).splitlines()] == [f"r{n}" for n in range(100)]
        assert all(len(text) <= 4096 and text.endswith("\n") for text in writes)
        assert len(writes) < 20

    def test_that_cannot_be_written_fails_no_request(self):
        reader, writer = os.pipe()
        os.close(reader)
        stream = open(writer, "w")  # noqa: SIM115 -- closing it fails
        AccessLog(stream, At()).write(ENTRY)
        with pytest.raises(BrokenPipeError):
            stream.close()


class TestTheProcessLog:
    def test_is_json_for_whoever_logs(self, stream):
        logging.getLogger("some.library").warning("hello %s", "world", extra={"request_id": "r1"})
        (line,) = logged(stream)
        assert line.pop("time").endswith("+00:00")
        assert line == {"level": "warning", "logger": "some.library", "event": "hello world", "request_id": "r1"}

    def test_takes_in_what_goes_wrong_in_the_server_but_not_its_chatter_nor_its_access_lines(self, stream):
        logging.getLogger("uvicorn.error").info("started")
        logging.getLogger("uvicorn.error").warning("failed")
        logging.getLogger("uvicorn.access").info('GET /?public_key=pk_0123456789abcdef "200"')
        assert [line["event"] for line in logged(stream)] == ["failed"]

    def test_hears_nothing_of_each_outgoing_request(self, stream):
        logging.getLogger("httpx").info("HTTP Request: GET https://issuer.example/jwks.json?token=x")
        assert logged(stream) == []

    def test_holds_a_traceback_in_one_line(self, stream):
        try:
            raise ConnectionError("redis://default:hunter2@store:6379/0 did not answer")
        except ConnectionError:
            logging.getLogger("tenantgate").exception("no store")
        (line,) = logged(stream)
        assert "ConnectionError" in str(line["exception"])
        assert "hunter2" not in stream.getvalue()

    def test_masks_secrets_by_their_name_however_deep(self, stream):
        secret = {"X-Api-Key": "hidden1", "deep": [{"client_secret": "hidden2"}], "key_id": "key_1"}
        logging.getLogger("x").warning("x", extra={"authorization": "hidden3", "headers": secret})
        (line,) = logged(stream)
        assert "hidden" not in stream.getvalue()
        assert line["headers"]["key_id"] == "key_1"

    def test_cannot_be_forged(self, stream):
        logging.getLogger("x").warning('a\n{"event":"forged"}')
        assert len(logged(stream)) == 1

    def test_leaves_out_what_is_below_its_level(self, stream):
        configure(stream, "WARNING")
        logging.getLogger("x").info("quiet")
        logging.getLogger("x").warning("loud")
        assert [line["event"] for line in logged(stream)] == ["loud"]


def test_importing_the_log_changes_nothing_in_the_process():
    script = "import logging, gateway.telemetry.logs; raise SystemExit(bool(logging.getLogger().handlers))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

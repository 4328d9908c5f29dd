"""Requests that a stop meets."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .recorder import Recorder
from .stack import provision
from .test_lifecycle import environment_of, running
from .test_unread_answers import PROOF
from .wire import head, open_to


@pytest.mark.parametrize("path", ["/batch/x", "/open/x"])
def test_a_request_that_waits_for_its_body_is_answered_at_the_end(upstream: Recorder, tmp_path: Path, path: str) -> None:
    with running(environment_of(upstream, tmp_path), tmp_path) as gateway:
        customer = provision(gateway, "late")
        with open_to(gateway) as connection:
            connection.sendall(
                head(f"POST {path} HTTP/1.1", customer if "batch" in path else None, b"Content-Length: 100") + b"{"
            )
            time.sleep(0.3)
            gateway.process.send_signal(signal.SIGTERM)
            got = b""
            connection.settimeout(1)
            for _ in range(12):
                try:
                    connection.sendall(b" ")
                    piece = connection.recv(1 << 16)
                    got += piece
                    if not piece:
                        break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
        assert got.startswith(b"HTTP/1.1 503 ")


def test_a_broken_handshake_does_not_disturb_the_end(upstream: Recorder, tmp_path: Path) -> None:
    with running(environment_of(upstream, tmp_path), tmp_path) as gateway, open_to(gateway) as hung, open_to(gateway) as other:
        hung.sendall(head("GET /open/x HTTP/1.1", None, *PROOF, b"bad name: x"))
        other.sendall(head("POST /open/x HTTP/1.1", None, b"Content-Length: 3") + b"a")
        time.sleep(0.5)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        other.sendall(b"bc")
        assert other.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert "Traceback" not in gateway.output

"""Who bills, as a server on this machine: takes meter events as Stripe does, and CloudEvents in batches, each id once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Biller:
    """`statuses` are answered first, whatever comes; with `takes` the event is taken nevertheless, and its sender not told."""

    url: str = ""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    authorizations: set[str | None] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    takes: bool = False
    duplicates: int = 0

    @property
    def units(self) -> int:
        return sum(event["units"] for event in self.events.values())

    def meter_event(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        told = {name: values[0] for name, values in form.items()}
        assert told.keys() == {"event_name", "identifier", "timestamp", "payload[stripe_customer_id]", "payload[value]"}
        if told["identifier"] in self.events:
            self.duplicates += 1
            return 400, {"error": {"code": "duplicate_meter_event", "message": "An event already exists with it."}}
        self.events[told["identifier"]] = {**told, "units": int(told["payload[value]"])}
        return 200, {"object": "billing.meter_event"}

    def batch(self, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        for event in events:
            assert event["specversion"] == "1.0"
            self.duplicates += event["id"] in self.events
            self.events.setdefault(event["id"], {**event, "units": event["data"]["units"]})
        return 202, {}


@contextmanager
def serving() -> Iterator[Biller]:
    biller = Biller()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            biller.authorizations.add(self.headers["authorization"])
            status, answer = biller.statuses.pop(0) if biller.statuses else 0, {}
            if not status or biller.takes:
                if self.headers["content-type"] == "application/cloudevents-batch+json":
                    taken = biller.batch(json.loads(content))
                else:
                    taken = biller.meter_event(parse_qs(content.decode(), strict_parsing=True))
                if not status:
                    status, answer = taken
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    biller.url = f"http://127.0.0.1:{server.server_port}/v1/billing/meter_events"
    try:
        yield biller
    finally:
        server.shutdown()
        server.server_close()

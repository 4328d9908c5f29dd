"""`python -m clinic`: start the service, and print one line of JSON with its URL when it answers.

DATABASE_URL       a PostgreSQL to use; without it one is started
CLINIC_DATA_DIR    where that one keeps its files; without it they are thrown away at the end
CLINIC_PORT        port on 127.0.0.1; 0, the default: any
CLINIC_JWT_SECRET  signs the tokens of logins: at least 32 bytes, the same as in gateway.yaml
CLINIC_SEED        companies and users to begin with, as JSON
GATEWAY_JWKS_URL   where the gateway publishes its public keys
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx
import uvicorn
from pydantic import TypeAdapter

from .app import create_app
from .database import Company
from .embedded import postgres
from .tenancy import FetchKeys, Gateway


def main() -> None:
    secret, jwks_url = os.environ["CLINIC_JWT_SECRET"], os.environ["GATEWAY_JWKS_URL"]
    if len(secret) < 32:
        sys.exit("CLINIC_JWT_SECRET is shorter than 32 bytes")
    companies = TypeAdapter(tuple[Company, ...]).validate_json(os.environ.get("CLINIC_SEED", "[]"))
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _exit)
    with _database() as database:
        app = create_app(database, secret, Gateway(_fetcher(jwks_url)), companies)
        listener = socket.create_server(("127.0.0.1", int(os.environ.get("CLINIC_PORT", "0"))))
        # Unused connections are the gateway's to close: it knows when none of its requests is on the way.
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=75)
        server = _Server(config)
        asyncio.run(server.serve(sockets=[listener]))


def _exit(signum: int, frame: FrameType | None) -> NoReturn:
    """Leave by the way that stops the database. The server has drained by then: it hands the signal on when it is done."""
    raise SystemExit(0)


@contextmanager
def _database() -> Iterator[str]:
    if url := os.environ.get("DATABASE_URL"):
        yield url
    elif folder := os.environ.get("CLINIC_DATA_DIR"):
        with postgres(Path(folder).resolve()) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory(prefix="clinic-") as scratch, postgres(Path(scratch)) as url:
            yield url


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)


def _fetcher(url: str) -> FetchKeys:
    async def fetch() -> object:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            return (await client.get(url)).raise_for_status().json()

    return fetch


if __name__ == "__main__":
    main()

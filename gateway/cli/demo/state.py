"""What the demo keeps between runs, in one folder for its owner only: secrets, keys, the store, the clinic's database."""

from __future__ import annotations

import base64
import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.cli.private_file import write_private


class Unusable(Exception):
    """The demo can't start; says why."""


@dataclass(frozen=True)
class State:
    folder: Path
    secrets: Mapping[str, str]

    def read_keys(self) -> dict[str, str]:
        """Texts of API keys by owner, which the store does not have."""
        path = self.folder / "keys.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def write_keys(self, keys: Mapping[str, str]) -> None:
        write_private(self.folder / "keys.json", json.dumps(keys, indent=2))


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    """The state in `folder`, made where there is none, and held until the end. Raises Unusable where another demo has it."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"another demo runs with its state in {folder}") from None
        path = folder / "secrets.json"
        if not path.exists():
            write_private(path, json.dumps(_new_secrets(), indent=2))
        yield State(folder, json.loads(path.read_text()))


def shipped(name: str) -> Path:
    """A file or folder that comes with tenantgate: in the installed package, or in the sources around it."""
    package = Path(gateway.__file__).parent
    installed = package / "data" / name
    return installed if installed.exists() else package.parent / name


def _new_secrets() -> dict[str, str]:
    return {
        "TENANTGATE_ENCRYPTION_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "TENANTGATE_ADMIN_KEY": secrets.token_urlsafe(32),
        "CLINIC_JWT_SECRET": secrets.token_urlsafe(48),
        "DEMO_PASSWORD": secrets.token_urlsafe(12),
    }

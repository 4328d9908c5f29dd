"""The clinic as a process of its own, which ends with the demo."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from gateway.settings.schema import Settings

from .state import State, Unusable, shipped
from .tenants import Provided, Provision

_PR_SET_PDEATHSIG = 1
_NEEDED = ("argon2", "psycopg", "psycopg_pool")


@dataclass(frozen=True)
class Clinic:
    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def output(self) -> IO[str]:
        """Says nothing more, and ends when the process does."""
        assert self.process.stdout is not None
        return self.process.stdout


@contextmanager
def started(state: State, settings: Settings, provision: Provision) -> Iterator[Clinic]:
    """Answering, with the tenants' schemas and users. Raises Unusable where it does not start."""
    if not all(map(find_spec, _NEEDED)):
        raise Unusable("the clinic needs packages that are not installed: pip install 'tenantgate[demo]'")
    folder = state.folder
    log = folder / "clinic.log"
    # PostgreSQL does not run as root, and whom it runs as then can't come into `folder`: the clinic finds a place for the time.
    home = {} if os.geteuid() == 0 else {"CLINIC_DATA_DIR": str(folder / "clinic")}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "clinic"],
            env={**os.environ, "PYTHONPATH": _search_path(), **home, **_variables(state, settings, provision)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            # Ctrl-C reaches the demo, which lets requests in flight end before it stops the clinic.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                raise Unusable(f"the clinic ended with status {process.returncode}; the end of {log}:\n{_tail(log)}")
            yield Clinic(json.loads(line)["url"], process, log)
        finally:
            process.terminate()
            process.wait()


def email_of_manager(of: Provided) -> str:
    """Whose password is the state's DEMO_PASSWORD."""
    return _email("ana", of)


def _variables(state: State, settings: Settings, provision: Provision) -> Mapping[str, str]:
    """See `examples/clinic/__main__.py`."""
    public = settings.listeners.public
    return {
        "CLINIC_JWT_SECRET": state.secrets["CLINIC_JWT_SECRET"],
        "CLINIC_SEED": json.dumps([_company(one, state.secrets["DEMO_PASSWORD"]) for one in provision.tenants]),
        "GATEWAY_JWKS_URL": f"http://{public.host}:{public.port}/.well-known/jwks.json",
    }


def _search_path() -> str:
    return os.pathsep.join(filter(None, [str(shipped("examples")), os.environ.get("PYTHONPATH")]))


def _company(of: Provided, password: str) -> dict[str, object]:
    users = [
        {"name": f"{name.title()} of {of.tenant.name}", "email": _email(name, of), "role": role, "password": password}
        for name, role in (("ana", "manager"), ("bruno", "staff"))
    ]
    return {"slug": of.tenant.slug, "schema_name": of.tenant.schema, "name": of.tenant.name, "users": users}


def _email(name: str, of: Provided) -> str:
    return f"{name}@{of.tenant.slug}.example"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


def _die_with_parent() -> None:
    """In the new process: end as by `terminate` when the demo dies, even of SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

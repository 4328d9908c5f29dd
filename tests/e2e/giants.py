"""Clients and upstreams that move huge bodies and cost little themselves: zeros, from one buffer and into one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader

MEGABYTE = 1 << 20
_ZEROS = memoryview(bytes(MEGABYTE))
_CHUNK = memoryview(b"%x\r\n" % MEGABYTE + bytes(MEGABYTE) + b"\r\n")


class NotZeros(Exception):
    """Other bytes came than were sent, or fewer."""


def framing(size: int, *, chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size


def pour(connection: socket.socket, size: int, *, chunked: bool, whole: bool = True) -> None:
    """`size` bytes of a body, whole megabytes; `whole`: it ends with them."""
    for _ in range(size // MEGABYTE):
        connection.sendall(_CHUNK if chunked else _ZEROS)
    if chunked and whole:
        connection.sendall(b"0\r\n\r\n")


def read_head(stream: BufferedReader) -> list[bytes]:
    """The lines of a head, in lower case. Raises EOFError."""
    lines = []
    while (line := stream.readline()) != b"\r\n":
        if not line.endswith(b"\r\n"):
            raise EOFError
        lines.append(line[:-2].lower())
    return lines


def swallow(stream: BufferedReader, head: list[bytes]) -> int:
    """The length of the body that follows `head`. Raises NotZeros."""
    buffer = memoryview(bytearray(MEGABYTE))
    total = 0
    for part in _parts(stream, head):
        left = part
        while left:
            got = stream.readinto(buffer[: min(left, MEGABYTE)])
            if not got or buffer[:got] != _ZEROS[:got]:
                raise NotZeros
            left -= got
        total += part
    return total


def _parts(stream: BufferedReader, head: list[bytes]) -> Iterator[int]:
    """The lengths of the pieces that the body comes in; between two of them, the stream stands behind the one before."""
    lengths = [int(line.partition(b":")[2]) for line in head if line.startswith(b"content-length:")]
    if lengths:
        yield lengths[0]
        return
    while size := int(stream.readline(), 16):
        yield size
        stream.readline()
    stream.readline()


class Giant:
    """An upstream. It swallows each request's body and answers with one of `size` bytes, framed as the request was: after it,
    or below /…/both/ while it comes. `answering`: how many answers are under way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.swallowed = self.answering = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self._door.accept()[0]], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb", MEGABYTE) as stream, suppress(EOFError, OSError):
            while True:
                head = read_head(stream)
                chunked = framing(0, chunked=True).lower() in head or b"/chunked" in head[0]
                self.swallowed, swallowed = 0, threading.Event()
                answering = threading.Thread(target=self._answer, args=[connection, chunked, swallowed])
                if b"/both/" in head[0]:
                    answering.start()
                self.swallowed = 0 if head[0].startswith(b"get ") else swallow(stream, head)
                swallowed.set()
                if b"/both/" not in head[0]:
                    answering.start()
                answering.join()

    def _answer(self, connection: socket.socket, chunked: bool, swallowed: threading.Event) -> None:
        """The last megabyte waits for the request's end: after an answer nobody would bring the rest of it."""
        size = self.size
        self.answering += 1
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing(size, chunked=chunked) + b"\r\n\r\n")
            first = max(0, size - MEGABYTE)
            pour(connection, first, chunked=chunked, whole=False)
            swallowed.wait()
            pour(connection, size - first, chunked=chunked)
        self.answering -= 1

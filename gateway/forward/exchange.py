"""One request to an upstream and its response, as callbacks: no task and no future of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import Problem, Refused

if TYPE_CHECKING:
    from .connection import UpstreamConnection
    from .response_head import ResponseHead
    from .target import Target

Fields = Sequence[tuple[bytes, bytes]]

# RFC 9110, 9.2.2, as far as a gateway forwards them.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
# Methods whose missing body is said, since a server may wait for one (RFC 9110, 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class UpstreamAborted(Exception):
    """The response broke off after its head had been handed on. The client's connection must be dropped too: a clean end
    would pass the piece off as the whole."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(f"{problem.code}: {detail}")
        self.problem = problem


class NotSent(Refused):
    """No connection came about: the upstream has not seen a byte of the request."""


@dataclass(frozen=True, slots=True)
class OutboundHead:
    """`target` goes out byte for byte. `headers` name no framing: `length` is the body's length in bytes where a body is
    streamed whose length is known; a streamed body without one goes out in chunks."""

    method: str
    target: bytes
    headers: Fields
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds. `connect`: until a connection stood, None where one was reused. `first_byte`: from the end of the request until
    the response's head; None as long as there is none."""

    connect: float | None = None
    first_byte: float | None = None


class Sink(Protocol):
    """Who is given the response. After `complete` or `failed` nothing more is called."""

    def head(self, answer: ResponseHead) -> None: ...

    def data(self, piece: bytes) -> None: ...

    def complete(self) -> None: ...

    def failed(self, error: Refused | UpstreamAborted) -> None:
        """Refused as long as `head` has not been called, UpstreamAborted afterwards."""

    def resume_upload(self) -> None:
        """The next pieces of a streamed body may be written. Not before the first call of this."""

    def pause_upload(self) -> None:
        """The upstream takes no more for now; what is written nevertheless is kept in memory."""


class Exchange:
    """A request whose first bytes are ready. Its methods are for whoever brings the rest of its body and takes the response.

    `opening` is the head, and all of the body where it is not `streamed`; `length` is that of a streamed body, in bytes, where
    its head tells it. `connect` and `first_byte` are as in Timings, `is_whole` whether all of the response is there; known when
    the sink is given its head.
    """

    __slots__ = ("_left", "_retried", "_tried", "_upstream", "connect", "connection", "first_byte", "is_whole", "method",
                 "opening", "sink", "streamed", "target")  # fmt: skip

    def __init__(
        self, upstream: Chooser, method: str, opening: bytes, sink: Sink, *, streamed: bool = False, length: int | None = None
    ) -> None:
        self.method = method
        self.opening = opening
        self.sink = sink
        self.streamed = streamed
        self.connect: float | None = None
        self.first_byte: float | None = None
        self.is_whole = False
        self.connection: UpstreamConnection | None = None
        self.target: Target | None = None
        self._upstream = upstream
        self._left = length
        self._retried = False
        self._tried: Sequence[Target] = ()

    @classmethod
    def of(cls, upstream: Chooser, head: OutboundHead, body: bytes | None, sink: Sink, *, streamed: bool) -> Exchange:
        """`body` is one that is at hand."""
        opening, length = _opening(head, body, streamed=streamed), head.length if streamed else None
        return cls(upstream, head.method, opening, sink, streamed=streamed, length=length)

    @property
    def timings(self) -> Timings:
        return Timings(self.connect, self.first_byte)

    # For the one who brings the request and takes the response

    def write(self, piece: bytes) -> None:
        """Hand on a piece of the streamed body, not empty. Raises ValueError where the declared length is passed."""
        connection = self.connection
        if connection is None:
            return
        if self._left is None:
            connection.write((b"%x\r\n" % len(piece), piece, b"\r\n"))
            return
        self._left -= len(piece)
        if self._left < 0:
            self.abort()
            raise ValueError("the body is longer than its declared length")
        connection.write((piece,))

    def finish(self) -> None:
        """The streamed body has ended. Raises ValueError where it is shorter than was declared; the upstream then never sees
        a complete request."""
        if self.connection is None:
            return
        if self._left:
            self.abort()
            raise ValueError("the body is shorter than its declared length")
        self.connection.finish((b"0\r\n\r\n",) if self._left is None else ())

    def pause_reading(self) -> None:
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_reading(self) -> None:
        if self.connection is not None:
            self.connection.resume_reading()

    def abort(self) -> None:
        """Give up, whatever has been reached. The sink hears nothing more; a connection in use is dropped."""
        if self.connection is not None:
            self.connection.abort()
        elif self.target is not None:
            self.target.forget(self)
        self.target = None

    # For the pool and its connections

    def start(self, *, fresh: bool = False) -> None:
        """Ask for a connection; `fresh`: for a new one."""
        upstream = self._upstream
        self.target = target = upstream.sole or upstream.choose(self._tried)
        target.acquire(self, fresh=fresh)

    def unreachable(self, error: Refused) -> None:
        """No connection to the target. Nothing was sent, so any request may go to another one."""
        assert self.target is not None
        self._tried = (*self._tried, self.target)
        self.target = None
        if self._upstream.has_other(self._tried):
            self.start()
        else:
            # On its first attempt a retried request may have arrived.
            kind = Refused if self._retried else NotSent
            self.sink.failed(kind(error.problem, error.detail, error.retry_after))

    def lost(self, error: Refused | UpstreamAborted, *, stale: bool) -> None:
        """The exchange failed on its connection. `stale`: one that had been used before, and not a byte had come back: then the
        upstream may have closed it while the request was on its way, and what is idempotent is sent once more."""
        self.connection = self.target = None
        if stale and not self._retried and not self.streamed and self.method in _IDEMPOTENT:
            self._retried = True
            self.start(fresh=True)
        else:
            self.sink.failed(error)


class Chooser(Protocol):
    """Chooses the target of each attempt. `sole`: the only one there is, which need not be chosen; else None."""

    @property
    def sole(self) -> Target | None: ...

    def choose(self, tried: Sequence[Target]) -> Target: ...

    def has_other(self, tried: Sequence[Target]) -> bool: ...


def request_head(method: str, target: bytes, fields: Fields) -> bytes:
    """The bytes of a request's head, blank line included. Raises ValueError where a header would end early: what comes from
    clients has been checked, so it is one that a policy has set."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target), *map(b": ".join, fields)]
    text = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count(b"\n") != breaks or text.count(b"\r") != breaks or b"\0" in text:
        raise ValueError("a header toward the upstream holds a line break or a NUL")
    return text + b"\r\n\r\n"


def framing(method: str, length: int) -> bytes:
    """How a request tells of a body of `length` bytes that is at hand: a line with its end; none, where there is nothing to
    tell."""
    return b"Content-Length: %d\r\n" % length if length or method in _WITH_BODY else b""


def _opening(head: OutboundHead, body: bytes | None, *, streamed: bool) -> bytes:
    """What is written first: the head, and a body that is at hand."""
    framing: list[tuple[bytes, bytes]] = []
    if streamed and head.length is None:
        framing.append((b"Transfer-Encoding", b"chunked"))
    elif streamed:
        framing.append((b"Content-Length", str(head.length).encode("ascii")))
    elif body or head.method in _WITH_BODY:
        framing.append((b"Content-Length", b"%d" % len(body or b"")))
    opening = request_head(head.method, head.target, [*head.headers, *framing])
    return opening + body if body else opening

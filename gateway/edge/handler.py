"""What a client's connection hands its requests to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.errors import Refused

from .head import Head

if TYPE_CHECKING:
    from .connection import ClientConnection


class Handler(Protocol):
    """What becomes of one request. After `gone`, or once its answer has been finished or aborted, nothing more is called."""

    def body(self, piece: bytes) -> None:
        """A piece of the request's body, after `ClientConnection.resume_body` has been called."""

    def end(self) -> None:
        """That was the whole body."""

    def broken(self, refused: Refused) -> None:
        """The rest of the request will not come, or there is no more time for it."""

    def gone(self) -> None:
        """The client has gone away."""

    def pause(self) -> None:
        """The client takes no more for now; what is written nevertheless is kept in memory."""

    def resume(self) -> None: ...


class Server(Protocol):
    """Whom connections bring their requests to."""

    @property
    def body_idle(self) -> float:
        """Seconds for which a body that is wanted, or a client that should read, may stand still."""

    def recall(self, connection: ClientConnection, block: bytes) -> Head | None:
        """The head that `block` holds, where the very same one was read before; it need not have its fields."""

    def serve(self, connection: ClientConnection, head: Head, body: bytes | None, block: bytes) -> Handler | None:
        """Take a request. `body` is None where it is still to come: `Handler.body` brings it. `block` is the head as it was
        sent, empty where it is broken. Returns None where the answer has been finished already. Does not raise."""

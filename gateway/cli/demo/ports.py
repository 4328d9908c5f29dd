"""The ports of the gateway, chosen and held before it starts: the clinic has to be told where its keys will be."""

from __future__ import annotations

import socket

from .state import Unusable

_PUBLIC, _ADMIN = 8080, 9090


class Ports:
    """Those that gateway.yaml names if they are free, or else any. Raises Unusable."""

    def __init__(self) -> None:
        self._held = [_held(wanted) for wanted in (_PUBLIC, _ADMIN)]
        self.public, self.admin = (int(one.getsockname()[1]) for one in self._held)

    def release(self) -> None:
        """To be called just before the gateway takes them."""
        for one in self._held:
            one.close()


def _held(wanted: int) -> socket.socket:
    for port in (wanted, 0):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    raise Unusable("no free port on 127.0.0.1")

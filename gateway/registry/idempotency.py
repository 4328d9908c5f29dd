"""Answers that were given to requests with an `Idempotency-Key`, so that a repetition is answered and not done again.

An answer may hold a secret that is shown only once. So it is stored encrypted, as signing secrets are, and for the same caller
alone; the key's own text is not stored at all.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from uuid import uuid4

from gateway.errors import IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, Refused
from gateway.store.connect import Store
from gateway.store.script import Script

from .cipher import Cipher

_log = logging.getLogger(__name__)

_CLAIM = Script.load("gateway.registry", "claim_answer")
_KEEP = Script.load("gateway.registry", "keep_answer")
_KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that a request has claimed. Given neither an answer nor back, it stays occupied: what became of the request is not
    known then, and it must not be done a second time."""

    place: str
    token: str


class Answers:
    """Each is kept for 24 hours."""

    def __init__(self, store: Store, cipher: Cipher) -> None:
        self._store = store
        self._cipher = cipher

    async def claim(self, caller: str, key: str, request: bytes) -> Claim | bytes:
        """The answer to the same `request` of this caller with this key, or the claim of one that is to be done now.

        Raises Refused: IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, STORE_UNAVAILABLE, SECRETS_UNREADABLE.
        """
        place, token = self._store.keys.answer(_digest(caller), _digest(key)), uuid4().hex
        # With the key in front, which is not stored: a body's digest tells nothing to whoever guesses bodies.
        wanted = _digest_of(key.encode() + b"\n" + request)
        held = await self._store.control.run(_CLAIM, [place], [token, wanted, _KEPT_MS])
        assert isinstance(held, list)
        if not held:
            return Claim(place, token)
        if held[0] != wanted.encode():
            raise Refused(IDEMPOTENCY_KEY_REUSED)
        if not isinstance(held[1], bytes):
            raise Refused(IDEMPOTENCY_KEY_IN_USE)
        return self._cipher.decrypt(held[1].decode(), place)

    async def keep(self, claim: Claim, answer: bytes) -> None:
        try:
            await self._store.control.run(_KEEP, [claim.place], [claim.token, self._cipher.encrypt(answer, claim.place)])
        except Refused:
            _log.error("an answer could not be kept for its idempotency key; a repetition will be refused")

    async def give_back(self, claim: Claim) -> None:
        """Nothing was done."""
        with suppress(Refused):
            await self._store.control.run(_KEEP, [claim.place], [claim.token, ""])


def _digest(text: str) -> str:
    return _digest_of(text.encode())


def _digest_of(content: bytes) -> str:
    return sha256(content).hexdigest()

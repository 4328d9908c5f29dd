"""What a walk asks for beside records, each with the kind of its answer."""

from __future__ import annotations

from collections.abc import Generator

from gateway.errors import KEYS_UNAVAILABLE, Refused

from .claim import Claim, KeysNeeded
from .policy import Authenticator
from .question import Answer, FetchKeys, Question, ReadBody, WholeBody
from .request import InboundRequest


def whole_body(limit: int) -> Generator[Question, Answer, WholeBody]:
    body = yield ReadBody(limit)
    assert isinstance(body, WholeBody)
    return body


def claimed(authenticator: Authenticator, request: InboundRequest) -> Generator[Question, Answer, Claim]:
    """What the credential says, after its issuer's keys were fetched where they are needed. Raises Refused."""
    try:
        return authenticator.authenticate(request)
    except KeysNeeded as needed:
        yield FetchKeys(needed.issuer)
    try:
        return authenticator.authenticate(request)
    except KeysNeeded as needed:
        # An authenticator answers for itself after a fetch; one that asks for ever must not be taken for a bad credential.
        raise Refused(KEYS_UNAVAILABLE, retry_after=5) from needed

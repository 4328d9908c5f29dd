"""`Idempotency-Key` on POST: the same request again gets the same answer, and is not done again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import astuple

from gateway.errors import BAD_REQUEST, WRITE_CONFLICT, Owner, Problem, Refused
from gateway.registry.idempotency import Answers, Claim

from .document import document_of
from .endpoint import Answered, Endpoint, Outcome, Ready, Received

_KEY = re.compile(r"[!-~]{1,255}")
_REPLAYED = ("Idempotency-Replayed", "true")


async def perform(answers: Answers, endpoint: Endpoint, received: Received) -> Outcome:
    """Check the input, and do what is asked. Raises Refused."""
    ready = endpoint.bind(received)
    if endpoint.method == "POST" and received.idempotency_key is not None and not endpoint.transfer:
        return await _once(answers, endpoint, received, ready)
    return await ready()


async def _once(answers: Answers, endpoint: Endpoint, received: Received, ready: Ready) -> Answered:
    """Do what is `ready`, or answer as it was answered before. Input faults have been told already: they claim no key.

    A refusal is kept like any other answer, but for one after which the same request may well succeed. Where the store has
    failed, or the gateway, it is not known what was done: the key stays occupied.
    """
    key = received.idempotency_key
    if key is None or _KEY.fullmatch(key) is None:
        raise Refused(BAD_REQUEST, "An `Idempotency-Key` has 1 to 255 visible ASCII characters, and is sent once.")
    claimed = await answers.claim(received.caller.identity, key, _request(endpoint, received))
    if not isinstance(claimed, Claim):
        return _read(claimed)
    try:
        answered = await ready()
    except Refused as refused:
        if refused.problem.owner in (Owner.CLIENT, Owner.TENANT):
            await _keep_refusal(answers, claimed, refused)
        raise
    assert isinstance(answered, Answered), "a POST answers with a document"
    await answers.keep(claimed, _write(answered))
    return answered


async def _keep_refusal(answers: Answers, claim: Claim, refused: Refused) -> None:
    if refused.retry_after is not None or refused.problem is WRITE_CONFLICT:
        await answers.give_back(claim)
        return
    kept = {"problem": astuple(refused.problem), "detail": refused.detail, "headers": refused.headers}
    await answers.keep(claim, _dump({**kept, "members": refused.members}))


def _request(endpoint: Endpoint, received: Received) -> bytes:
    """What makes two requests the same."""
    head = _dump({"endpoint": endpoint.name, "path": received.path, "query": sorted(received.query)})
    return head + b"\n" + received.content


def _write(answered: Answered) -> bytes:
    kept = {"shown": document_of(answered.shown), "message": answered.message, "tagged": answered.tagged}
    return _dump({**kept, "headers": answered.headers})


def _read(kept: bytes) -> Answered:
    """Raises the refusal that was kept."""
    held = json.loads(kept)
    if "problem" in held:
        headers = (*((name, value) for name, value in held["headers"]), _REPLAYED)
        raise Refused(_problem(*held["problem"]), held["detail"], headers=headers, members=held["members"])
    return Answered(held["shown"], held["message"], held["tagged"], {**held["headers"], _REPLAYED[0]: _REPLAYED[1]})


def _problem(code: str, status: int, owner: str, title: str, advice: str) -> Problem:
    return Problem(code, status, Owner(owner), title, advice)


def _dump(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

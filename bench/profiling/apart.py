"""What a hot request does not do, since an earlier one has: each by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from gateway.clock import SystemClock
from gateway.decision import Admission, Ask, Trail
from gateway.edge.head import read_head
from gateway.identity.keysets import KeySets
from gateway.ledger.ledger import Outcome
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Authenticator, Reusable, Setup
from gateway.pipeline.question import Admit, Granted
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.verified import Credential, Verified
from gateway.transaction import Machine

from .bare import bare_hs256, bare_rs256, bare_signature
from .inside import Inside, request

# So many in a row that it does not matter whether the first one finds the processor's caches full of something else.
_BATCH = 40
_ASKS, _TOGETHER = 10, 64
# Between rounds, so that what disturbs the machine for a moment does not meet all of one row.
_PAUSE = 0.01
T = TypeVar("T")
Timing = Callable[[], Awaitable[float]]
"""Does something once or some times; the seconds that once has taken."""


@dataclass(frozen=True)
class Apart:
    """Seconds of this process. `bare` is the part of the cryptography itself, None where there is none."""

    name: str
    seconds: float
    bare: float | None = None


async def apart(inside: Inside, rounds: int) -> list[Apart]:
    """The best of so many rounds."""
    timings = await _timings(inside, rounds * _BATCH)
    spent: list[list[float]] = [[] for _ in timings]
    bares: list[list[float]] = [[] for _ in timings]
    for _ in range(rounds):
        for (_, timing, bare), times, bare_times in zip(timings, spent, bares, strict=True):
            times.append(await timing())
            if bare is not None:
                bare_times.append(await bare())
        await asyncio.sleep(_PAUSE)
    return [
        Apart(name, min(times), min(bare_times, default=None))
        for (name, *_), times, bare_times in zip(timings, spent, bares, strict=True)
    ]


async def _timings(inside: Inside, count: int) -> list[tuple[str, Timing, Timing | None]]:
    """Name, the thing itself, and its bare cryptography."""
    machine, caller = inside.gateway.express.machine, inside.callers[0]
    rows: list[tuple[str, Timing, Timing | None]] = []
    for name, route, make, bare in (
        ("a new token, HS256", "jwt", inside.keys.hs256, bare_hs256),
        ("a new token, RS256", "rs256", inside.keys.rs256, bare_rs256),
    ):
        texts = [make(caller.tenant.slug, f"user-{number}") for number in range(count)]
        asked = [_read(machine, f"/{route}/x", f"Authorization: Bearer {text}") for text in texts]
        rows.append((name, _timing(_proving(inside, route), asked), _timing(bare(inside.keys), texts)))
    asked = [_read(machine, "/key/x", f"X-Api-Key: {caller.key}")] * count
    rows.append(("an API key", _timing(_proving(inside, "key"), asked), None))
    admission, question = await _admitted(machine, _read(machine, "/jwt/x", caller.bearer))
    calls = [replace(admission.call, request=_read(machine, f"/jwt/{number}", "X-None: 1")) for number in range(count)]
    rows.append(("a new identity token, Ed25519", _timing(_signing(machine), calls), _timing(bare_signature(), calls)))
    rows.append(("asking the store (`admit`), one by one", _asking(machine, question, 1), None))
    rows.append((f"the same, {_TOGETHER} at once", _asking(machine, question, _TOGETHER), None))
    return rows


def _read(machine: Machine, target: str, fields: str) -> InboundRequest:
    head = read_head(request(target, fields).removesuffix(b"\r\n\r\n"))
    return machine.reader.read_head(head, "127.0.0.1", "http", "the-request's-id")


def _proving(inside: Inside, route: str) -> Callable[[InboundRequest], object]:
    """From the bytes of a credential to who calls, as the walk does it where nothing is remembered."""
    settings = next(one for one in inside.settings.routes if one.name == route)
    issuers = KeySets(inside.settings.identity.issuers, SystemClock()).issuers
    policy = settings.policies[0].build(Setup(route, issuers))
    assert isinstance(policy, Authenticator)
    reusable = policy if isinstance(policy, Reusable) else None
    verified, tenant = Verified(), inside.callers[0].tenant

    def prove(asked: InboundRequest) -> object:
        if reusable is not None:
            verified.find(reusable, asked)
        return Credential(policy.authenticate(asked), policy, reusable).prove(tenant, None, verified, asked)

    return prove


def _signing(machine: Machine) -> Callable[[Call], object]:
    return lambda call: machine.signer.token(call, "memory", call.request.received_at)


async def _admitted(machine: Machine, asked: InboundRequest) -> tuple[Admission, Admit]:
    """The request's admission, which is given back, and the question that the store would be asked for it."""
    trail = Trail()
    decided = machine.decider.decide(asked, trail)
    while isinstance(decided, Ask):
        decided = decided.answer(await machine.look_up(decided.question))
    assert isinstance(decided, Admission)
    assert trail.tenant is not None
    machine.ledger.settle_soon(decided.charge, Outcome.REFUND)
    return decided, Admit(decided.call, (trail.tenant,), decided.route.chain.demands(decided.call, []))


def _timing(action: Callable[[T], object], values: Sequence[T]) -> Timing:
    """Each call of the timing takes the next few of `values`."""
    rest = iter(values)

    async def timing() -> float:
        batch = list(islice(rest, _BATCH))
        started = time.process_time()
        for value in batch:
            action(value)
        return (time.process_time() - started) / len(batch)

    return timing


def _asking(machine: Machine, question: Admit, together: int) -> Timing:
    """What is granted is given back."""

    async def ask() -> None:
        granted = await machine.ledger.admit(question)
        assert isinstance(granted, Granted)
        machine.ledger.settle_soon(granted.charge, Outcome.REFUND)

    async def timing() -> float:
        started = time.process_time()
        for _ in range(_ASKS):
            await asyncio.gather(*(ask() for _ in range(together)))
        return (time.process_time() - started) / together / _ASKS

    return timing

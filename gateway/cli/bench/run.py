"""First one request, then many, and what they have cost."""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import CATALOGUE

from .connection import Answer
from .cost import Costs
from .load import Load, ask
from .report import Report
from .request import Request


class NotWelcome(Exception):
    """The request is not answered with 2xx; the text says what the answer was, and what to do."""


async def run(request: Request, connections: int, seconds: float, costs: Costs, tell: Callable[[str], None]) -> Report:
    """`tell` is given the first answer. Raises NotWelcome, Unreachable and CostUnknown."""
    first = await ask(request)
    if not 200 <= first.status < 300:
        raise NotWelcome(_refusal(request, first))
    tell(f"{request.method} {request.url}: {first.status} in {first.seconds * 1000:.1f} ms. {seconds:g} s of it …")
    before = await costs()
    tally = await Load(request, connections, seconds).run()
    return Report(request, connections, tally, (await costs()).since(before))


def _refusal(request: Request, answer: Answer) -> str:
    told = f"{request.method} {request.url}: {answer.status}"
    known = CATALOGUE.get(answer.code)
    if known is not None:
        advice = answer.detail if known.advice in answer.detail else f"{answer.detail} {known.advice}".strip()
        return f"{told} {known.code}, {known.title}; it is for the {known.owner} to act. {advice}\nNothing was timed."
    return (
        f"{told}, which is not from this gateway's own refusals but from what answers behind it. "
        "Ask for what it answers with 2xx.\nNothing was timed."
    )

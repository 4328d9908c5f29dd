"""Whatever the gateway lets pass, nginx and HAProxy behind it take for the same requests, and for no others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from . import middlebox
from .conftest import CONFIG
from .made import PROOF, WAY, Harm, Made, harms, made, pieces_of, plain, splits
from .oddities import CLOSE, ODDITIES, Odd
from .recorder import Recorder, Seen
from .stack import Customer, GatewayProcess, environment, provision
from .wire import Reply, head, open_to, read_all

DIRECT, BEYOND = "/direct", "/beyond"  # of the same length, so that the same damage is done to both
# Different in each request; or said anew at each hop: how long the body is.
_OF_THE_HOP = {"x-request-id", "x-gateway-identity", "content-length", "transfer-encoding", "connection"}


@dataclass(frozen=True)
class Outcome:
    replies: tuple[Reply, ...]
    seen: tuple[Seen, ...]

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]


@dataclass(frozen=True)
class Course:
    """A client, the gateway, and behind it the recorder twice: on the direct way, and beyond another proxy."""

    gateway: GatewayProcess
    recorder: Recorder
    customer: Customer

    def send(self, *pieces: bytes) -> Outcome:
        before = len(self.recorder.seen)
        with open_to(self.gateway) as connection:
            replies = read_all(connection, *pieces, pause=0.001)
        return Outcome(tuple(replies), tuple(self.recorder.seen[before:]))

    def compare(self, make: Callable[[str], list[bytes]]) -> Outcome:
        """Send the same on both ways; what the direct one made of it."""
        direct, beyond = self.send(*make(DIRECT)), self.send(*make(BEYOND))
        for outcome in (direct, beyond):
            check(outcome)
        assert direct.statuses == beyond.statuses
        assert [plainly(seen) for seen in direct.seen] == [plainly(seen) for seen in beyond.seen]
        return direct


@pytest.fixture(scope="module", params=middlebox.NAMES)
def course(
    request: pytest.FixtureRequest, launch: Callable[..., GatewayProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Course]:
    if middlebox.find(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    with ExitStack() as stack:
        stack.callback((recorder := Recorder()).close)
        box = middlebox.Middlebox(request.param, tmp_path_factory.mktemp(request.param), recorder.url)
        stack.callback(box.stop)
        environ = environment() | {"TESTS_MIDDLEBOX": box.url}
        gateway = launch(recorder.url, environ, f"e2e-{uuid4().hex[:8]}", CONFIG.with_name("middlebox.yaml"))
        stack.callback(gateway.stop)
        yield Course(gateway, recorder, provision(gateway, f"t-{uuid4().hex[:12]}"))


def check(outcome: Outcome) -> None:
    """As many requests arrived as were answered well; the others were refused, by the gateway; it closed where it said so."""
    *_, last = outcome.replies
    assert last.fields["connection"] == "close"
    for reply in outcome.replies:
        assert reply.status in (200, 204) or (400 <= reply.status < 500 and is_ours(reply)), reply
    well = sum(status < 300 for status in outcome.statuses)
    assert len(outcome.seen) == well


def is_ours(refusal: Reply) -> bool:
    """Not what another proxy says of what it was handed on. The answer to a HEAD has no body."""
    return refusal.fields["content-type"] == "application/problem+json" and "x-request-id" in refusal.fields


def plainly(seen: Seen) -> tuple[str, str, bytes, dict[str, list[str]]]:
    fields: dict[str, list[str]] = {}
    for name, value in seen.fields:
        if name.lower() not in _OF_THE_HOP:
            fields.setdefault(name.lower(), []).append(value)
    return seen.method, seen.target.replace(BEYOND, DIRECT), seen.body, fields


@pytest.mark.parametrize("odd", ODDITIES, ids=lambda odd: odd.why)
def test_an_odd_request_is_refused_or_passes_as_one(course: Course, odd: Odd) -> None:
    marker = uuid4().hex

    def make(way: str) -> list[bytes]:
        return [odd.at(way, marker, course.customer), head(f"GET {way}/last HTTP/1.1", course.customer, CLOSE)]

    outcome = course.compare(make)
    asked = b"".join(make(DIRECT))
    assert len(outcome.replies) <= 2
    assert all(seen.target.encode("latin-1") in asked for seen in outcome.seen)
    if outcome.statuses[0] < 300:
        assert [marker in seen.target for seen in outcome.seen] == [True, False][: len(outcome.replies)]


def examples(number: int) -> settings:
    """The same ones each time where nobody asked for more: a red build says that the code has changed."""
    more = os.environ.get("WIRE_EXAMPLES")
    return settings(max_examples=int(more or number), derandomize=more is None)


def bytes_for(course: Course, requests: list[Made]) -> Callable[[str], bytes]:
    """What says these on one connection, as a function of the way."""
    proof = b"".join(f"{name}: {value}\r\n".encode() for name, value in course.customer.bearer().items())
    whole = b"".join(request.text(last=request is requests[-1]) for request in requests)
    return lambda way: whole.replace(PROOF, proof).replace(WAY, way.encode())


def arrived(outcome: Outcome, requests: list[Made]) -> None:
    """Those answered well are those that arrived, as they were meant."""
    well = [request for request, status in zip(requests, outcome.statuses, strict=False) if status < 300]
    for seen, request in zip(outcome.seen, well, strict=True):
        assert not request.odd_framing
        assert seen.method == request.method
        assert seen.target.encode("latin-1") == DIRECT.encode() + request.target
        assert seen.body == request.body
        sent = [(name.lower(), value.strip(b" \t")) for name, value in request.fields if name.lower().startswith(b"x-made")]
        got = [(name.lower(), value) for name, value in seen.fields if name.lower().startswith("x-made")]
        assert [(name.encode("latin-1"), value.encode("latin-1")) for name, value in got] == sent
    refused = [place for place, status in enumerate(outcome.statuses) if status >= 300]
    assert len(outcome.replies) == len(requests) or refused


@given(requests=st.lists(plain, min_size=1, max_size=4), places=splits)
@examples(60)
def test_sound_requests_all_arrive_as_they_were_meant(course: Course, requests: list[Made], places: list[float]) -> None:
    say = bytes_for(course, requests)
    outcome = course.compare(lambda way: pieces_of(say(way), places))
    assert len(outcome.seen) == len(requests)
    arrived(outcome, requests)


@given(requests=st.lists(plain, min_size=1, max_size=3), chunks=splits, places=splits, pad=st.sampled_from([0, 1000, 100_000]))
@examples(60)
def test_sound_requests_that_are_read_whole_before_they_are_decided_arrive_too(
    course: Course, requests: list[Made], chunks: list[float], places: list[float], pad: int
) -> None:
    """Which may take another way through the gateway."""
    body = tuple(pieces_of(b'{"messages": 1, "pad": "%b"}' % (b"x" * pad), chunks))
    requests = [replace(request, method="POST", target=b"/whole" + request.target, pieces=body) for request in requests]
    say = bytes_for(course, requests)
    outcome = course.compare(lambda way: pieces_of(say(way), places))
    assert len(outcome.seen) == len(requests)
    arrived(outcome, requests)


@given(requests=st.lists(made, min_size=1, max_size=3), places=splits)
@examples(150)
def test_any_requests_are_refused_or_arrive_as_they_were_meant(
    course: Course, requests: list[Made], places: list[float]
) -> None:
    say = bytes_for(course, requests)
    arrived(course.compare(lambda way: pieces_of(say(way), places)), requests)


@given(requests=st.lists(plain, min_size=1, max_size=2), damage=harms, places=splits)
@examples(150)
def test_damaged_requests_are_refused_or_understood_alike(
    course: Course, requests: list[Made], damage: list[Harm], places: list[float]
) -> None:
    say, last = bytes_for(course, requests), head(f"GET {DIRECT}/last HTTP/1.1", course.customer, CLOSE)

    def make(way: str) -> list[bytes]:
        whole = say(way)
        for harm in damage:
            whole = harm.to(whole)
        return [*pieces_of(whole, places), last.replace(DIRECT.encode(), way.encode())]

    course.compare(make)


@pytest.mark.parametrize("why", ["trailers", "a chunk with an extension", "a body after GET", "an absolute target"])
def test_a_request_in_single_bytes_is_one_request(course: Course, why: str) -> None:
    (odd,) = [odd for odd in ODDITIES if odd.why == why]
    whole = odd.at(BEYOND, marker := uuid4().hex, course.customer).replace(b"\r\n", b"\r\n" + CLOSE + b"\r\n", 1)
    outcome = course.send(*(whole[place : place + 1] for place in range(len(whole))))
    check(outcome)
    assert [marker in seen.target for seen in outcome.seen] == [True]

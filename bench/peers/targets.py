"""What is compared, and what has to come of it: a value of ours divided by the same of a peer, in the same round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .neighbour import Noticed
from .peers import DIRECT
from .rounds import Measured
from .sample import Range, Rounds, Sample, ratio


@dataclass(frozen=True)
class Target:
    """At most `must`, and better at most `aim`."""

    must: float | None = None
    aim: float | None = None

    def verdict(self, reached: float) -> str:
        if self.must is None:
            return ""
        if reached > self.must:
            return "missed"
        return "aim" if self.aim is not None and reached <= self.aim else "met"


@dataclass(frozen=True)
class Compared:
    """`reached` is None where one of both was not measured."""

    name: str
    reached: Range | None
    target: Target


PROCESSOR: Mapping[str, Target] = {
    "nginx-lua-cached": Target(0.6, 0.35),
    "nginx-lua": Target(0.35, 0.2),
    "envoy": Target(0.4, 0.25),
    "traefik": Target(0.4, 0.25),
    "haproxy-hs256": Target(1.6, 0.9),
    "haproxy-rs256": Target(0.8, 0.5),
    "handwritten": Target(1 / 40, 1 / 60),
}
"""By the peer's row in the main table: of processor time for each answer."""


def _cpu(sample: Sample) -> float:
    return sample.cpu


def _p99(sample: Sample) -> float:
    return sample.p99


def processor(rounds: Rounds) -> list[Compared]:
    """Of the main table. Where the peer verifies RS256, so do we."""
    return [
        Compared(name, ratio(rounds, "tenantgate, RS256" if "rs256" in name else "tenantgate", name, _cpu), target)
        for name, target in PROCESSOR.items()
    ]


def others(measured: Mapping[str, Measured], noticed: Sequence[Noticed]) -> list[Compared]:
    """Of whichever tables were measured."""
    compared = list[Compared]()
    if main := measured.get("main"):
        compared += [
            Compared("p99 ÷ nginx-lua-cached's", ratio(main.rounds, "tenantgate", "nginx-lua-cached", _p99), Target(1.0)),
            Compared("p99 ÷ haproxy-hs256's", ratio(main.rounds, "tenantgate", "haproxy-hs256", _p99), Target(None, 1.0)),
        ]
    if connections := measured.get("connections"):
        compared.append(
            Compared("added p50 at one connection ÷ haproxy-hs256's", added_latency(connections.rounds), Target(2.0, 1.2))
        )
    if bodies := measured.get("bodies"):
        compared += [
            Compared(f"10 MiB {way}, CPU ÷ nginx's", _body(bodies.rounds, way), Target(2.0, 1.2)) for way in ("down", "up")
        ]
    if noticed:
        reached = Range.of(one.beside / max(one.alone, 1e-6) for one in noticed)
        compared.append(Compared("p99 beside a tenant at ten times its limit ÷ alone", reached, Target(2.0)))
    return compared


def added_latency(rounds: Rounds) -> Range | None:
    """How much longer than without a proxy a request takes that is alone: ours divided by HAProxy's."""
    names = [f"{peer}, 1" for peer in (DIRECT, "tenantgate", "haproxy-hs256")]
    if not rounds or any(name not in samples for samples in rounds for name in names):
        return None

    def added(samples: Mapping[str, Sample]) -> float:
        direct, ours, theirs = (samples[name].p50 for name in names)
        return (ours - direct) / max(theirs - direct, 1e-6)

    return Range.of(map(added, rounds))


def _body(rounds: Rounds, way: str) -> Range | None:
    return ratio(rounds, f"tenantgate, 10 MiB {way}", f"nginx, 10 MiB {way}", _cpu)

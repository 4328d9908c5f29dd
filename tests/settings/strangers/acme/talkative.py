"""A policy that repeats what it was given when it refuses to be built."""

from __future__ import annotations

from typing import ClassVar

from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, Setup


class Talkative:
    phase: ClassVar[Phase] = Phase.ENTITLEMENT

    class Config(PolicyConfig):
        word: str

    def __init__(self, config: Config, setup: Setup) -> None:
        raise ValueError(f"{config.word} is not the word")

    def check(self, call: Call) -> None: ...

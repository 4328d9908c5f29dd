"""Lets callers without a credential in. Their calls have no tenant, unless another authenticator of the route names one."""

from __future__ import annotations

from typing import ClassVar

from gateway.pipeline.policy import Phase, PolicyConfig, Setup
from gateway.pipeline.principal import ANONYMOUS, Principal


class Public:
    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    principal: ClassVar[Principal] = ANONYMOUS

    class Config(PolicyConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        pass

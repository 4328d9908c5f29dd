"""The caller must hold every scope that the route requires (RFC 6750, 3.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.errors import INSUFFICIENT_SCOPE, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Mode, ModeConfig, Phase, RestsOn, Setup

# RFC 6749, 3.3: no space, quote or backslash, so that the scopes can stand in a quoted string of `WWW-Authenticate`.
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]


class Scopes:
    phase: ClassVar[Phase] = Phase.RIGHT
    rests_on: ClassVar[RestsOn] = "head"

    class Config(ModeConfig):
        require: Annotated[tuple[Scope, ...], Field(min_length=1)]
        """Scopes that the caller must hold, all of them."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode
        self._required = frozenset(config.require)
        self._challenge = f'Bearer error="insufficient_scope", scope="{" ".join(config.require)}"'

    def check(self, call: Call) -> None:
        missing = self._required - call.principal.scopes
        if missing:
            raise Refused(
                INSUFFICIENT_SCOPE,
                f"The credential lacks {', '.join(sorted(missing))}.",
                headers=(("WWW-Authenticate", self._challenge),),
            )

"""A policy that holds a secret, and talks about it when it should not."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr, field_validator
from pydantic_core import PydanticCustomError

from gateway.pipeline.call import Call
from gateway.pipeline.policy import Phase, PolicyConfig, Setup


class Secretive:
    phase: ClassVar[Phase] = Phase.ENTITLEMENT

    class Config(PolicyConfig):
        token: SecretStr | None = None
        pin: SecretStr | None = None

        @field_validator("token", mode="before")
        @classmethod
        def _is_right(cls, value: object) -> object:
            raise ValueError(f"{value} is not the right token")

        @field_validator("pin", mode="before")
        @classmethod
        def _is_a_pin(cls, value: object) -> object:
            raise PydanticCustomError("pin", "something else than {value}", {"value": str(value)})

    def __init__(self, config: Config, setup: Setup) -> None: ...

    def check(self, call: Call) -> None: ...

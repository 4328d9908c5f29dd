"""The model of one upstream in gateway.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from .strict import STRICT
from .units import Duration, LongerThanZero, NoBoolean

_TARGET = r"^https?://[^/?#@\s]+$"

UPSTREAM_FORMS = {
    _TARGET: "scheme, host and port only, such as http://127.0.0.1:9000",
}
"""Each pattern of this file in words."""


class Model(BaseModel):
    model_config = STRICT


class Timeouts(Model):
    connect: Duration = 2.0
    """Until a connection stands, and how long a request waits for one that is free."""
    first_byte: Duration = 30.0
    """From the end of the request until the answer begins."""
    idle: Duration = 60.0
    """Between two pieces of a body, in either direction."""


class Upstream(Model):
    targets: Annotated[tuple[Annotated[str, Field(pattern=_TARGET)], ...], Field(min_length=1)]
    """Base URLs, scheme and authority only: the path of a request is never rewritten."""
    timeouts: Timeouts = Timeouts()
    """How long to wait for what."""
    max_connections: Annotated[int, Field(ge=1), NoBoolean] = 256
    """Connections to each target at once."""
    keep_alive: Duration = 4.0
    """How long an unused connection is kept. Below the upstream's own time, often 5s: a request that meets its end is lost."""
    lifetime: LongerThanZero = 300.0
    """How long a connection is used at most, up to a fifth less, so that they don't all end at once. So targets that are new
    behind a name get their share."""
    ca_file: Path | None = None
    """Certificate authorities that `https` targets are checked against; the system's where none is named."""

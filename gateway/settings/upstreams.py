"""The model of one upstream in gateway.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .strict import STRICT
from .units import Duration, LongerThanZero, NoBoolean

_TARGET = r"^https?://[^/?#@\s]+$"
_SERVER_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_CHECK_PATH = r"^/[!\"$-~]*$"

UPSTREAM_FORMS = {
    _TARGET: "scheme, host and port only, such as http://127.0.0.1:9000",
    _SERVER_NAME: "a host name in lower case, such as app.internal",
    _CHECK_PATH: "a path in visible ASCII, such as /healthz",
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


class PassiveHealth(Model):
    failures: Annotated[int, Field(ge=0), NoBoolean] = 5
    """Failures in a row after which a target is left out for a while; 0: it never is."""
    count_5xx: bool = False
    """Count answers of 500 and above as failures, too."""
    eject: LongerThanZero = 10.0
    """How long it is left out; twice as long each time where it fails again soon after."""
    longest: LongerThanZero = 300.0
    """Longest time that it is left out."""
    max_ejected: Annotated[int, Field(ge=0, le=100), NoBoolean] = 50
    """Percent of the targets that may be out at once before no further one is left out for its failures."""


class ActiveHealth(Model):
    path: Annotated[str, Field(pattern=_CHECK_PATH)] | None = None
    """What is asked for, by GET and without any tenant; 2xx is well. None: no checks."""
    interval: LongerThanZero = 5.0
    """Time between two checks of a target, up to a fifth less by chance."""
    timeout: LongerThanZero = 2.0
    """Until a check must be answered, connection included."""
    healthy: Annotated[int, Field(ge=1), NoBoolean] = 2
    """Good checks in a row that bring a target back."""
    unhealthy: Annotated[int, Field(ge=1), NoBoolean] = 3
    """Bad checks in a row after which a target is left out."""


class Health(Model):
    passive: PassiveHealth = PassiveHealth()
    """What requests tell: targets that can't be reached, hang up, are too slow or answer nonsense."""
    active: ActiveHealth = ActiveHealth()
    """Checks of each target beside the requests; each worker makes its own."""


class Upstream(Model):
    targets: Annotated[tuple[Annotated[str, Field(pattern=_TARGET)], ...], Field(min_length=1)]
    """Base URLs, scheme and authority only: the path of a request is never rewritten."""
    balance: Literal["least_outstanding", "round_robin"] = "least_outstanding"
    """Which target a request goes to: the one with the fewest requests under way, or the next in turn."""
    health: Health = Health()
    """Which targets are left out. Where none would be left, all are used."""
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
    client_cert_file: Path | None = None
    """Certificate in PEM that `https` targets are shown, with the chain that they need to check it."""
    client_key_file: Path | None = None
    """Its private key in PEM, without a passphrase; default: it stands in `client_cert_file`."""
    server_name: Annotated[str, Field(pattern=_SERVER_NAME)] | None = None
    """Name that `https` targets are asked for (SNI) and that their certificate must have; default: the host of the target."""

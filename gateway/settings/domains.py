"""How domains are proved, in gateway.yaml."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError

from .strict import STRICT
from .units import LongerThanZero


def _resolver(text: str) -> str:
    host, _, port = text.rpartition(":")
    try:
        is_place = ip_address(host.removeprefix("[").removesuffix("]")).version == (6 if host.startswith("[") else 4)
    except ValueError:
        is_place = False
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535
    if text != "system" and not (is_place and is_port):
        raise PydanticCustomError("resolver", "system, or an address with a port, such as 127.0.0.1:53 or [::1]:53")
    return text


Resolver = Annotated[str, AfterValidator(_resolver), WithJsonSchema({"type": "string", "examples": ["system", "127.0.0.1:53"]})]


class DomainSettings(BaseModel):
    model_config = STRICT

    resolver: Resolver = "system"
    """Who is asked for the TXT records that prove domains: `system`, or a server's address and port, such as `127.0.0.1:53`.
    Whoever can forge its answers can prove domains of others: let it validate DNSSEC."""
    timeout: LongerThanZero = 5.0
    """How long a look-up may take."""

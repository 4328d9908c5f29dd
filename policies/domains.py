"""Which internet domains a request may name in its JSON body: those that its tenant, or the tenant's organization, has proved,
and of these the ones that its key allows."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field

from gateway.errors import BODY_TOO_LARGE, DOMAIN_NOT_ALLOWED, Refused
from gateway.pipeline.call import Call
from gateway.pipeline.policy import Mode, ModeConfig, Phase, Setup
from gateway.pipeline.strict_json import parse_json
from gateway.tenancy.domain import domain_name, verified

# RFC 5322, 3.4, without all that two readers could understand differently: a second `@`, lists, groups, comments, escapes.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f@<>()\[\]\\,;:\"]{1,64}@(\S{1,253})")
_NAMED = re.compile(r"(?:\"[^\"\\@<>\x00-\x1f\x7f]*\" ?|[^@<>()\[\]\\,;:\"\x00-\x1f\x7f]*)<([^<>]+)>")
_LONGEST, _MOST = 1000, 1000


class Domains:
    """Credentials without `allowed_domain_ids` may name all that are proved. GET, HEAD and OPTIONS pass: they read."""

    phase: ClassVar[Phase] = Phase.ENTITLEMENT
    reads_body: ClassVar[bool] = True
    sees_organization: ClassVar[bool] = True

    class Config(ModeConfig):
        field: Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")]
        """Where the body has a domain, or an address such as `Acme <news@acme.com>`, or a list of these: `from`, or
        `messages.from` for a field of another, of each entry where that is a list. What is not there is refused."""

    def __init__(self, config: Config, setup: Setup) -> None:
        self.mode: Mode = config.mode
        self._field = config.field

    def check(self, call: Call) -> None:
        if call.request.method in ("GET", "HEAD", "OPTIONS"):
            return
        if call.body is None:
            raise Refused(BODY_TOO_LARGE, "A body that names domains may have one MiB here.")
        customer, allowed = call.require_customer(), call.principal.allowed_domain_ids
        held = (*customer.tenant.domains, *customer.org.domains)
        for name in self._named(call.body):
            domain = verified(held, name)
            if domain is None:
                raise Refused(DOMAIN_NOT_ALLOWED, f"Neither the tenant nor its organization has proved {name}.")
            if allowed is not None and domain.id not in allowed:
                raise Refused(DOMAIN_NOT_ALLOWED, f"The key does not allow {name}.")

    def _named(self, body: bytes) -> list[str]:
        """All names, in their order. Raises Refused: BAD_REQUEST where the body is not strict JSON, DOMAIN_NOT_ALLOWED."""
        values = _values(parse_json(body), self._field.split("."))
        if not values:
            raise Refused(DOMAIN_NOT_ALLOWED, f"The body's field {self._field} names no domain.")
        if len(values) > _MOST:
            raise Refused(DOMAIN_NOT_ALLOWED, f"The body's field {self._field} may name {_MOST} domains.")
        names = list(dict.fromkeys(map(_name_in, values)))
        if None in names:
            raise Refused(
                DOMAIN_NOT_ALLOWED,
                f"The body's field {self._field} has to be there, and each of its values a domain or one plain address; names "
                "in other scripts by their A-labels.",
            )
        return [name for name in names if name is not None]


def _name_in(value: object) -> str | None:
    """None where the value is neither a domain nor one address."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip(" ")
    named = _NAMED.fullmatch(text)
    address = _ADDRESS.fullmatch(text if named is None else named[1])
    if named is not None and address is None:
        return None
    name = text if address is None else address[1]
    return domain_name(name) if name.isascii() else None


def _values(document: object, way: list[str]) -> list[object]:
    """What stands at the end of the way; None for each place where it leads nowhere."""
    values = _entries([document])
    for name in way:
        values = _entries([value.get(name) if isinstance(value, dict) else None for value in values])
    return values


def _entries(values: list[object]) -> list[object]:
    return [entry for value in values for entry in (value if isinstance(value, list) else [value])]

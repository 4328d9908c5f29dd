"""The lists of requests that wrk sends, by the kind of credential in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from .credentials import HOST, Keys, signed_headers
from .tenants import Customer

Headers = dict[str, str]

TOKENS = 1000
_REPEATED = ("hs256", "rs256", "key", "none")
_serial = count()


class Requests:
    """Writes lists into `directory`. Tenants are those of `customers` by their order."""

    def __init__(self, directory: Path, keys: Keys, customers: Sequence[Customer]) -> None:
        self._directory = directory
        self.keys = keys
        self._customers = customers

    def headers(self, kind: str, customer: Customer, target: str, number: int) -> Headers:
        """Of one request with the credential number `number` of a customer."""
        makers: Mapping[str, Callable[[], Headers]] = {
            "hs256": lambda: _bearer(customer.slug, self.keys.hs256(customer.slug, f"user-{number}")),
            "rs256": lambda: _bearer(customer.slug, self.keys.rs256(customer.slug, f"user-{number}")),
            "distinct": lambda: _bearer(customer.slug, self.keys.hs256(customer.slug, f"new-{next(_serial)}")),
            "key": lambda: _bearer(customer.slug, customer.api_key),
            "hmac": lambda: signed_headers(customer.id, customer.secret, target),
            "none": dict,
        }
        return {"Host": HOST, "Accept": "*/*", "User-Agent": "bench/1", **makers[kind]()}

    def repeated(self, kind: str, target: str, tenants: int) -> Path:
        """A list that is sent over and over: TOKENS credentials, or one of each tenant where there are more of these."""
        path = self._directory / f"{kind}-{tenants}.requests"
        if not path.exists():
            self._write(path, kind, target, max(TOKENS, tenants), tenants)
        return path

    def once(self, kind: str, target: str, tenants: int, length: int) -> Path:
        """A list of which each request is good for one use, and was never sent before."""
        path = self._directory / f"{kind}-once.requests"
        self._write(path, kind, target, length, tenants)
        return path

    def of(self, customer: Customer) -> Path:
        """The tokens of one tenant."""
        path = self._directory / f"of-{customer.slug}.requests"
        write(path, (self.headers("hs256", customer, "", number) for number in range(5)))
        return path

    def _write(self, path: Path, kind: str, target: str, length: int, tenants: int) -> None:
        customers = self._customers
        write(path, (self.headers(kind, customers[number % tenants], target, number) for number in range(length)))


def is_repeated(kind: str) -> bool:
    """Whether the credential can be sent again."""
    return kind in _REPEATED


def write(path: Path, requests: Iterable[Mapping[str, str]]) -> None:
    """One to a line, as wrk.lua reads them."""
    lines = ("\t".join(f"{name}: {value}" for name, value in headers.items()) for headers in requests)
    path.write_text("\n".join(lines) + "\n")


def _bearer(tenant: str, token: str) -> Headers:
    return {"X-Tenant": tenant, "Authorization": f"Bearer {token}"}

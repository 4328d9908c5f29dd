"""One call of an API, declared once: what serves it, what checks it and what describes it all read this."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from gateway.errors import NOT_FOUND, Problem, Refused
from gateway.pipeline.call import Customer
from gateway.registry.audit_entry import Actor
from gateway.registry.changes import NO_TENANT

from .body import Pairs, read_body, read_query
from .document import Shown
from .etag import Condition

P = TypeVar("P", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `name` is what the audit trail says: a credential's id, or the name of an operator's key.

    `org`: whose tenants it may see; None: an operator, who sees all. `tenant`: the only one that it may see; None: any of
    `org`. `customer`: the tenant that the call is for, which a platform's key may have named or not.
    """

    name: str
    request_id: str
    org: str | None = None
    tenant: UUID | None = None
    scopes: frozenset[str] = frozenset()
    customer: Customer | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.name, self.request_id)

    @property
    def identity(self) -> str:
        """What tells it from every other caller, and from itself where it acts for another tenant."""
        acting = "" if self.customer is None else str(self.customer.tenant.id)
        return "/".join((self.org or "", acting, self.name))

    def require_org(self) -> str:
        assert self.org is not None, "the endpoint is not for operators"
        return self.org

    def check_may_name(self, tenant: UUID) -> None:
        """Before the store is asked, so that a bound caller can't tell by the time either which tenants there are beside its
        own. Raises Refused(NOT_FOUND)."""
        if self.tenant not in (None, tenant):
            raise Refused(NOT_FOUND, NO_TENANT)

    def check_sees(self, org: str, tenant: UUID | None = None, unknown: str = NO_TENANT) -> None:
        """What was found is `tenant`'s; None: the organization's own. Raises Refused(NOT_FOUND), in the words (`unknown`) that
        are used for what does not exist."""
        if self.org not in (None, org) or self.tenant not in (None, tenant):
            raise Refused(NOT_FOUND, unknown)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Of a call that carries the whole state: the key that secrets are sealed with, and the body as it comes in."""

    key: str | None = field(repr=False)
    content: AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class Asked(Generic[P, B]):
    """`parameters` are those of path and query. `condition` is for changes: see Condition.check. `accept` is the header."""

    caller: Caller
    parameters: P
    body: B
    condition: Condition = field(default_factory=Condition)
    accept: str | None = None
    transfer: Transfer | None = None

    def require_transfer(self) -> Transfer:
        assert self.transfer is not None, "the endpoint is not declared as a transfer"
        return self.transfer


@dataclass(frozen=True, slots=True)
class Answered:
    """`message` stands in the operator API's envelope. `tagged`: `shown` gets an `ETag`, which `If-Match` is compared with."""

    shown: Shown
    message: str = ""
    tagged: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came, whichever listener took it."""

    caller: Caller
    path: Mapping[str, str]
    query: Pairs
    content: bytes = field(repr=False)
    if_match: str | None = None
    idempotency_key: str | None = None
    accept: str | None = None
    transfer: Transfer | None = None


Outcome = Answered | Response
"""A Response where the answer is no JSON document, or comes in pieces. Not of a POST: those answers have to be kept."""
Ready = Callable[[], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Example:
    """`body` of a request and what is `shown` then. They stand in the documentation, and a test checks them."""

    shown: Mapping[str, object]
    body: Mapping[str, object] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` is below where the API is mounted; `{name}` in it is a parameter. `name` is unique in the API.

    `scope`: what the caller's credential must hold; None: nothing. `platform_only`: with what a credential that is bound to a
    tenant is refused; None: it is let in. `errors` are the refusals that are special to it; with PRECONDITION_FAILED among them
    it heeds `If-Match`. `media`: types of the answer beside JSON; in its place where there is no `answer`, and where they are
    JSON themselves (`…+json`). `tagged`: its answers have an `ETag`. `transfer`: it carries the whole state, whose form has
    the type `media`, by an operator; such a POST may be sent again as it is. `bind` checks the input, and gives what does the
    work. Made by `endpoint`.
    """

    method: Method
    path: str
    name: str
    summary: str
    parameters: type[BaseModel]
    body: type[BaseModel]
    answer: type[BaseModel]
    example: Example
    bind: Callable[[Received], Ready]
    status: int = 200
    scope: str | None = None
    platform_only: Problem | None = None
    errors: tuple[Problem, ...] = ()
    media: tuple[str, ...] = ()
    tagged: bool = False
    transfer: bool = False


def endpoint(
    method: Method,
    path: str,
    handle: Callable[[Asked[P, B]], Awaitable[Outcome]],
    *,
    name: str,
    summary: str,
    parameters: type[P],
    body: type[B],
    answer: type[BaseModel],
    example: Example,
    status: int = 200,
    scope: str | None = None,
    platform_only: Problem | None = None,
    errors: tuple[Problem, ...] = (),
    media: tuple[str, ...] = (),
    tagged: bool = False,
    transfer: bool = False,
) -> Endpoint:
    """`parameters` has a field for each of the path's and the query's; `Nothing` stands for none, of body and answer too."""

    def bind(received: Received) -> Ready:
        """Raises Refused: INVALID_BODY, BAD_REQUEST; NOT_FOUND where the path names nothing that can exist."""
        asked = Asked(
            received.caller,
            read_query(received.query, parameters, received.path),
            read_body(received.content, body),
            Condition(received.if_match),
            received.accept,
            received.transfer,
        )
        return lambda: handle(asked)

    return Endpoint(
        method=method,
        path=path,
        name=name,
        summary=summary,
        parameters=parameters,
        body=body,
        answer=answer,
        example=example,
        bind=bind,
        status=status,
        scope=scope,
        platform_only=platform_only,
        errors=errors,
        media=media,
        tagged=tagged,
        transfer=transfer,
    )

"""HTTP Message Signatures (RFC 9421) with `hmac-sha256` and Content-Digest (RFC 9530): the standard form of HMAC#1.

The profile: one signature; `keyid` is the tenant's id; `created` and `nonce` are there; covered are `@method`, the whole
target, and `content-digest` where there is a body. Component parameters (`sf`, `bs`, `key`, `tr`, `req`) are refused: they are
further ways to read one message in two ways.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar
from uuid import UUID

import http_sf

from gateway.errors import SIGNATURE_EXPIRED, SIGNATURE_MISSING, Problem, Refused
from gateway.pipeline.claim import Evidence
from gateway.pipeline.lookup import TenantById
from gateway.pipeline.policy import Phase, Setup
from gateway.pipeline.principal import Principal
from gateway.pipeline.request import InboundRequest
from gateway.pipeline.signing import Signature, SigningConfig, check_window, invalid, is_nonce
from gateway.tenancy.ids import parse_id

_ALGORITHM = "hmac-sha256"
_PARAMETERS = frozenset({"alg", "created", "expires", "keyid", "nonce", "tag"})
_WHOLE_TARGET = ({"@target-uri"}, {"@authority", "@path", "@query"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_EMPTY_BODY = sha256().hexdigest()
_NO_TENANT = UUID(int=0)


class HttpMessageSignature:
    phase: ClassVar[Phase] = Phase.AUTHENTICATE
    missing: ClassVar[Problem] = SIGNATURE_MISSING
    challenge: ClassVar[str] = 'Signature realm="tenantgate"'

    class Config(SigningConfig):
        pass

    def __init__(self, config: Config, setup: Setup) -> None:
        self._window = config.window

    def presents(self, request: InboundRequest) -> bool:
        return "signature" in request.headers or "signature-input" in request.headers

    def authenticate(self, request: InboundRequest) -> SignedMessage:
        label, components, given, canonical = _signature_input(request)
        mac = _mac(request, label)
        parameters = _Parameters.of(given)
        digest = _covered_digest(request, components)
        base = signature_base(request, components, canonical)
        check_window(parameters.created, request.received_at, self._window)
        if parameters.expires is not None and request.received_at > parameters.expires:
            raise Refused(SIGNATURE_EXPIRED, "The signature's `expires` has passed.")
        return SignedMessage(
            lookup=TenantById(parse_id("tnt", parameters.keyid) or _NO_TENANT),
            base=base,
            digest=digest,
            signature=Signature(mac, parameters.nonce, request.received_at, self._window),
        )


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """`digest` is the SHA-256 that the signed Content-Digest names, in lower-case hex; None where none is signed."""

    lookup: TenantById
    base: bytes = field(repr=False)
    digest: str | None
    signature: Signature
    needs_body: bool = True

    def prove(self, evidence: Evidence) -> Principal:
        assert evidence.body_sha256 is not None
        principal = self.signature.prove(evidence.record, self.base)
        if not hmac.compare_digest(self.digest or _EMPTY_BODY, evidence.body_sha256):
            raise invalid("The body is not the one that the signed `Content-Digest` names.")
        return principal


def signature_base(request: InboundRequest, components: Sequence[str], parameters: str) -> bytes:
    """RFC 9421, 2.5. `parameters` is the serialized value of `@signature-params`. Raises Refused where a component is not in
    the request."""
    lines = [f'"{name}": {_component(request, name)}' for name in components]
    try:
        return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")
    except UnicodeEncodeError:
        raise invalid("A covered header holds a character outside of ASCII.") from None


@dataclass(frozen=True, slots=True)
class _Parameters:
    keyid: str
    created: int
    nonce: str
    expires: int | None

    @classmethod
    def of(cls, given: Mapping[str, object]) -> _Parameters:
        if unknown := given.keys() - _PARAMETERS:
            raise invalid(f"`Signature-Input` has unknown parameters: {', '.join(sorted(unknown))}.")
        alg, keyid, created = given.get("alg", _ALGORITHM), given.get("keyid"), given.get("created")
        nonce, expires = given.get("nonce"), given.get("expires")
        if not isinstance(alg, str) or alg != _ALGORITHM:
            raise invalid(f"`alg` must be {_ALGORITHM}.")
        if not isinstance(keyid, str):
            raise invalid("`keyid` must be there: the tenant's id, as a string.")
        if type(created) is not int:
            raise invalid("`created` must be there: the time in whole seconds since 1970.")
        if not isinstance(nonce, str) or not is_nonce(nonce):
            raise invalid("`nonce` must be there: 16 to 128 visible ASCII characters.")
        if expires is not None and type(expires) is not int:
            raise invalid("`expires` must be a time in whole seconds since 1970.")
        return cls(keyid, created, nonce, expires)


def _signature_input(request: InboundRequest) -> tuple[str, list[str], Mapping[str, object], str]:
    """Label, covered components, parameters, and the canonical text of both, of the one signature that there must be."""
    members = _dictionary(request, "Signature-Input")
    if len(members) != 1:
        raise invalid("Send exactly one signature.")
    ((label, member),) = members.items()
    items, parameters = member if isinstance(member, tuple) else (member, {})
    if not isinstance(items, list):
        raise invalid("`Signature-Input` must name its covered components in parentheses.")
    components = [_component_name(item) for item in items]
    if len(set(components)) != len(components):
        raise invalid("A component is covered twice.")
    if "@method" not in components or not any(whole <= set(components) for whole in _WHOLE_TARGET):
        raise invalid("Cover `@method`, and `@target-uri` or all of `@authority`, `@path` and `@query`.")
    return label, components, parameters, http_sf.ser({label: member}).partition("=")[2]


def _component_name(item: object) -> str:
    name, parameters = item if isinstance(item, tuple) else (item, {})
    if not isinstance(name, str) or parameters:
        raise invalid("Covered components are plain strings, without parameters.")
    return name


def _mac(request: InboundRequest, label: str) -> bytes:
    """The one signature, in its canonical spelling only: base64 has several for the same bytes."""
    members = _dictionary(request, "Signature")
    member = members.get(label)
    mac = member[0] if isinstance(member, tuple) else member
    if not isinstance(mac, bytes) or request.header("signature") != f"{label}={http_sf.ser(mac)}":
        raise invalid(f"`Signature` must be `{label}=:…:`, with the MAC in base64.")
    return mac


def _covered_digest(request: InboundRequest, components: Sequence[str]) -> str | None:
    """The SHA-256 in Content-Digest, which must be covered where it is sent or a body is announced."""
    if "content-digest" not in components:
        if "content-digest" in request.headers or _announces_body(request):
            raise invalid("Send `Content-Digest`, and cover `content-digest`: the body must be signed.")
        return None
    member = _dictionary(request, "Content-Digest").get("sha-256")
    digest = member[0] if isinstance(member, tuple) else member
    if not isinstance(digest, bytes):
        raise invalid("`Content-Digest` must hold `sha-256=:…:`.")
    return digest.hex()


def _announces_body(request: InboundRequest) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _dictionary(request: InboundRequest, name: str) -> http_sf.DictionaryType:
    """A header that is a Dictionary (RFC 9651, 3.2), in which nothing occurs twice."""
    value = request.header(name.lower())
    if value is None:
        raise invalid(f"A part of the signature is missing: `{name}`.")
    try:
        parsed = http_sf.parse(value.encode("latin-1"), tltype="dictionary", on_duplicate_key=_twice)
    except ValueError:
        raise invalid(f"`{name}` is not a dictionary as in RFC 9651.") from None
    assert isinstance(parsed, dict)
    return parsed


def _twice(key: str, context: str) -> None:
    raise ValueError(f"{key} occurs twice in a {context}")


def _component(request: InboundRequest, name: str) -> str:
    """The value of a component (RFC 9421, 2.1 and 2.2)."""
    derived = _DERIVED.get(name)
    if derived is not None:
        return derived(request)
    value = request.header(name)
    if value is None:
        raise invalid(f"A covered component is not in the request: {name!r}.")
    return value.strip(" \t")


def _authority(request: InboundRequest) -> str:
    return request.host.lower().removesuffix(_DEFAULT_PORTS.get(request.scheme, ":"))


def _target(request: InboundRequest) -> str:
    return request.target.decode("ascii")


_DERIVED: Mapping[str, Callable[[InboundRequest], str]] = {
    "@method": lambda request: request.method,
    "@scheme": lambda request: request.scheme,
    "@authority": _authority,
    "@target-uri": lambda request: f"{request.scheme}://{_authority(request)}{_target(request)}",
    "@request-target": _target,
    "@path": lambda request: request.path,
    "@query": lambda request: f"?{request.query}",
}

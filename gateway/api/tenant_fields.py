"""The fields of a tenant as the operator API reads them. Which caps and plans there are is known from the settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from gateway.tenancy.plan import Metric, RateLimit
from gateway.tenancy.reference import is_reference
from gateway.tenancy.slug import is_slug
from gateway.tenancy.tenant import Tenant

from .body import invalid
from .origins import normal_origin

T = TypeVar("T")

QUOTA_ALIAS, ALIASED_CAP = "monthly_msg_quota", "monthly_message_cap"
_BRANDING = re.compile(r"branding_[a-z0-9_]{1,55}")
_MAX_BRANDING, _MAX_ORIGINS, _MAX_FLAGS = 50, 100, 100
# Exact as a JSON number everywhere (RFC 8259, 6), and in the store's scripts.
_MAX_NUMBER = 2**53 - 1
_ELSEWHERE = {
    "tenant_id": "is generated, and named by ?tenant_id=",
    "slug": "can only be set by provision/tenant",
    "external_ref": "can only be set by provision/tenant",
    "org": "can only be set by provision/tenant",
    "schema": "is derived from the slug, for good",
    "status": "is changed by suspend/tenant, reactivate/tenant and archive/tenant",
    "tenant_secret": "is changed by rotate/tenant-secret",
    "widget_public_key": "is changed by rotate/widget-key",
}


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not hold control characters")
    return text


def _visible(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be of visible ASCII characters")
    return text


def _external_ref(text: str) -> str:
    if not is_reference(text):
        raise ValueError("must be 1 to 255 printable ASCII characters, no slash or backslash, no space at either end")
    return text


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError("must be 1 to 48 lower-case letters, digits and inner hyphens, and no reserved name")
    return text


def _rate(text: object) -> object:
    if isinstance(text, str):
        try:
            return RateLimit.parse(text)
        except ValueError:
            # Not with parse's own words: they repeat the input.
            pass
    elif text is None:
        return None
    raise ValueError("must be a rate such as 100/second, 60/minute, 1000/hour or 5/day, or null")


def _callback(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be an absolute http or https URL")
    if parts.username is not None or parts.fragment:
        raise ValueError("must have neither user information nor a fragment")
    return url


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(normal_origin(value) for value in values))


def _extra_name(name: str) -> str:
    if name in _ELSEWHERE:
        raise ValueError(_ELSEWHERE[name])
    if not _BRANDING.fullmatch(name):
        raise ValueError("is no field of a tenant")
    return name


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Slug = Annotated[str, AfterValidator(_slug)]
ExternalRef = Annotated[str, AfterValidator(_external_ref)]
CustomerId = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_visible)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Url = Annotated[str, Field(max_length=2048), AfterValidator(_callback)]
Rate = Annotated[RateLimit, BeforeValidator(_rate), WithJsonSchema({"type": "string", "examples": ["100/second"]})]
Count = Annotated[int, Field(ge=0, le=_MAX_NUMBER)]
Origins = Annotated[tuple[str, ...], Field(strict=False, max_length=_MAX_ORIGINS), AfterValidator(_origins)]
Flags = Annotated[dict[Name, bool], Field(max_length=_MAX_FLAGS)]
ExtraName = Annotated[str, AfterValidator(_extra_name)]


class TenantFields(BaseModel):
    """What both calls may write. A field that is absent is left as it is; null takes the tenant's own value away.

    The caps of the configured metrics are added by `tenant_models`; every `branding_…` is kept among the extras.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[ExtraName, Text | None]

    name: Text = ""
    plan_tier: str = ""
    rate_limit: Rate | None = None
    callback_url: Url | None = None
    origins: Origins | None = None
    feature_flags: Flags | None = None
    agent_seats: Count | None = None
    stripe_customer_id: CustomerId | None = None
    region: Name | None = None

    @model_validator(mode="after")
    def _one_message_cap(self) -> Self:
        both = {QUOTA_ALIAS, ALIASED_CAP} <= self.model_fields_set
        if both and getattr(self, QUOTA_ALIAS) != getattr(self, ALIASED_CAP):
            fault = PydanticCustomError("alias", f"is another name of {ALIASED_CAP}, and they differ")
            raise ValidationError.from_exception_data("tenant", [InitErrorDetails(type=fault, loc=(QUOTA_ALIAS,), input=None)])
        return self

    def caps(self, metrics: Iterable[Metric]) -> dict[str, int | None]:
        """The caps that are present, by metric."""
        found: dict[str, int | None] = {}
        for metric in metrics:
            for name in (metric.cap, QUOTA_ALIAS) if metric.cap == ALIASED_CAP else (metric.cap,):
                if name in self.model_fields_set:
                    found[metric.name] = getattr(self, name)
        return found

    def over(self, tenant: Tenant, metrics: Iterable[Metric]) -> Tenant:
        """`tenant` with the fields that are present. Raises Refused(INVALID_BODY) where there would be too much branding."""
        given = self.model_fields_set

        def taken(field: str, new: T, old: T) -> T:
            return new if field in given else old

        profile = replace(
            tenant.profile,
            callback_url=taken("callback_url", self.callback_url, tenant.profile.callback_url),
            branding=self._branding(tenant.profile.branding),
            agent_seats=taken("agent_seats", self.agent_seats, tenant.profile.agent_seats),
            stripe_customer_id=taken("stripe_customer_id", self.stripe_customer_id, tenant.profile.stripe_customer_id),
        )
        return replace(
            tenant,
            name=taken("name", self.name, tenant.name),
            plan=taken("plan_tier", self.plan_tier, tenant.plan),
            region=taken("region", self.region, tenant.region),
            rate=taken("rate_limit", self.rate_limit, tenant.rate),
            caps={**tenant.caps, **self.caps(metrics)},
            features=taken("feature_flags", self.feature_flags or {}, tenant.features),
            origins=taken("origins", self.origins or (), tenant.origins),
            profile=profile,
        )

    def _branding(self, old: Mapping[str, str]) -> Mapping[str, str]:
        extras: Mapping[str, str | None] = self.model_extra or {}
        merged = {name: value for name, value in {**old, **extras}.items() if value is not None}
        if len(merged) > _MAX_BRANDING:
            raise invalid({"branding_*": f"may be {_MAX_BRANDING} fields at most"})
        return merged


class NewTenant(TenantFields):
    """Body of provision/tenant. Absent, the slug is made from the name; plan and organization are the default ones."""

    name: Text
    slug: Slug | None = None
    external_ref: ExternalRef | None = None
    org: str | None = None
    handshake: bool | None = None
    """Not served before `acknowledge/tenant`; absent: as the organization says."""


class TenantChange(TenantFields):
    """Body of update/tenant."""

    read_only: bool = False
    """Whether the tenant may only read."""


def tenant_models(
    plans: Collection[str], orgs: Collection[str], metrics: Iterable[Metric]
) -> tuple[type[NewTenant], type[TenantChange]]:
    """Both models for what the settings declare."""
    caps = [metric.cap for metric in metrics]
    if ALIASED_CAP in caps:
        caps.append(QUOTA_ALIAS)
    # Any: the type that pydantic gives to the definition of a field.
    fields: dict[str, Any] = {**dict.fromkeys(caps, (Count | None, None)), "plan_tier": (one_of(plans), "")}
    new = create_model("NewTenant", __base__=NewTenant, **{**fields, "org": (one_of(orgs) | None, None)})
    return new, create_model("TenantChange", __base__=TenantChange, **fields)


# Any: an annotated type is none that can be written down.
def one_of(names: Collection[str]) -> Any:
    """The type of a string that is one of these names."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return name

    return Annotated[str, AfterValidator(check), Field(json_schema_extra={"enum": [*names]})]

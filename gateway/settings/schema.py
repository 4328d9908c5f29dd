"""The model of gateway.yaml. Every key has a meaning, a default where one can exist, and a place in the JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, IPvAnyNetwork, SecretStr

from .domains import DomainSettings
from .policies import PolicyEntry
from .strict import STRICT
from .units import Duration, From64KiB, NoBoolean, Rate, Size, WithinADay
from .upstreams import UPSTREAM_FORMS, Upstream

_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_STORE_URL = r"^(embedded|rediss?://.+|unix://.+)$"
_KEY_PREFIX = r"^[a-z][a-z0-9]{0,11}$"
_STORE_PREFIX = r"^[a-z0-9_-]{1,16}$"
_HTTP_URL = r"^https?://[^/?#@\s]+[^#\s]*$"
_PATH = r"^(/([A-Za-z0-9._~!$&'()+,=:@%-]+|\{[a-z][a-z0-9_]*\}))*(/\*?)?$"
_HOST = r"^((\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$"
_METHOD = r"^[A-Z]+$"
_CAP = r"^[a-z][a-z0-9_]*$"

FORMS = {
    _NAME: "a name of lower-case letters, digits, - and _, that begins with a letter",
    _STORE_URL: "embedded, redis://…, rediss://… or unix://…",
    _KEY_PREFIX: "up to 12 lower-case letters and digits, a letter first",
    _STORE_PREFIX: "up to 16 lower-case letters, digits, - and _",
    _HTTP_URL: "a URL such as https://login.example.com/jwks.json",
    _PATH: "/exact, /with/{one}/segment or /below/*",
    _HOST: "a host in lower case without port, such as api.example.com or *.example.com",
    _METHOD: "a method in capitals, such as GET",
    _CAP: "a name of lower-case letters, digits and _",
    **UPSTREAM_FORMS,
}
"""Each pattern of the model in words."""

Name = Annotated[str, Field(pattern=_NAME)]
"""Names of routes, upstreams, plans, metrics, orgs, issuers: lower case, so that none differs from another only in case."""

Port = Annotated[int, Field(ge=0, le=65535), NoBoolean]
Count = Annotated[int, Field(ge=0), NoBoolean]


class Model(BaseModel):
    model_config = STRICT


class Listener(Model):
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port
    """TCP port; 0 lets the system choose one."""


class PublicListener(Listener):
    port: Port = 8080
    """TCP port; 0 lets the system choose one."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks of proxies in front, whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` are believed. Nobody else's are."""
    drain: Duration = 25.0
    """How long requests in flight may take to finish after SIGTERM."""
    body_idle: Duration = 10.0
    """How long a request's body may stand still before it is refused."""


class AdminListener(Listener):
    port: Port = 9090
    """TCP port; 0 lets the system choose one."""


class Listeners(Model):
    public: PublicListener = PublicListener()
    """Proxied traffic and tenant-facing APIs."""
    admin: AdminListener = AdminListener()
    """Operator API, `/metrics`, `/livez`, `/readyz`. Keep it on loopback or in a private network."""


OnStoreFailure = Literal["deny", "allow"]


class StoreSettings(Model):
    url: Annotated[str, Field(pattern=_STORE_URL, repr=False)] = "embedded"
    """`embedded`, `redis://…`, `rediss://…` or `unix://…`. The store holds all state; the gateway keeps none."""
    data_dir: Path = Path(".tenantgate/store")
    """Where the embedded store keeps its files between runs."""
    deadline: Duration = 0.05
    """How long a request waits for the store before it is refused with STORE_UNAVAILABLE."""
    prefix: Annotated[str, Field(pattern=_STORE_PREFIX)] = "tg"
    """Prefix of every key in the store, so that several gateways can share one."""
    require_durable: bool = False
    """Don't start with a store that can lose a change of a tenant that has answered: no append-only file, no `WAITAOF`, or
    `appendfsync` other than `always`. The embedded store is durable in any case."""
    on_store_failure: OnStoreFailure = "deny"
    """While the store can't be reached: `deny` refuses, `allow` serves by what is known, within limits of each worker's own.
    The guarantees say what that gives up."""
    stale_for: WithinADay = 300.0
    """With `allow`: how old what is known of a tenant may be, at most 1d. A suspension that a worker can't hear of is in force
    so much later."""
    journal_dir: Path | None = None
    """Where workers note the units that the store has to count later; default: `journal` beside `data_dir`. Keep it over
    restarts."""
    journal_size: From64KiB = 64 << 20
    """Largest journal of one worker; one that is full refuses as `deny` does."""


class Secrets(Model):
    encryption_key: SecretStr = SecretStr("")
    """32 bytes in base64: encrypts the tenants' signing secrets in the store (AES-256-GCM)."""
    retired_encryption_keys: tuple[SecretStr, ...] = ()
    """Former encryption keys, still able to decrypt what has not been re-encrypted."""
    admin_keys: dict[Name, SecretStr] = {}
    """Operators' keys for `X-Admin-Key`, by name. At least 32 characters each."""
    identity_key: SecretStr = SecretStr("")
    """Ed25519 private key in PEM that signs `X-Gateway-Identity`. Empty: derived from `encryption_key`."""


class Claims(Model):
    tenant: str = "tenant"
    """Claim that holds the tenant's slug."""
    role: str = "role"
    """Claim that holds the caller's role."""
    scopes: str = "scope"
    """Claim that holds the scopes: a list, or one string parted by spaces."""


Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class IssuerSettings(Model):
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)]
    """Signature algorithms that are accepted; HS* cannot stand beside asymmetric ones."""
    secret: SecretStr | None = None
    """Shared secret, for HS* only: at least as long as the hash."""
    public_key: str | None = None
    """Public key in PEM, for RS*, PS*, ES* and EdDSA."""
    jwks_file: Path | None = None
    """JSON Web Key Set in a file."""
    jwks_url: Annotated[str, Field(pattern=_HTTP_URL)] | None = None
    """JSON Web Key Set at a URL, cached, and refreshed when a token names an unknown key."""
    jwks_refresh: Duration = 300.0
    """How often the set is refreshed anyway."""
    jwks_cooldown: Duration = 10.0
    """Shortest time between two refreshes that tokens cause."""
    issuer: str | None = None
    """Value that `iss` must have."""
    audience: str | None = None
    """Value that `aud` must have, or contain."""
    org: Name | None = None
    """Organization whose tenants alone its tokens may name; none: those of every organization."""
    leeway: WithinADay = 0.0
    """Tolerance for `exp`, `nbf` and `iat`, for clocks that differ."""
    claims: Claims = Claims()
    """Names of the claims."""


class Identity(Model):
    issuers: dict[Name, IssuerSettings] = {}
    """Who issues the JWTs that callers bring."""
    key_prefix: Annotated[str, Field(pattern=_KEY_PREFIX)] = "tg"
    """First part of API keys: `tg_live_…`."""


Builtin = Literal["audit", "billing_plan", "docs", "domains", "jwks", "keys", "openapi", "tenants", "usage", "webhooks"]
"""What can be mounted: the names in gateway.api.platform.catalogue."""


class RouteSettings(Model):
    name: Name
    """Shows in logs and metrics."""
    path: Annotated[str, Field(pattern=_PATH, min_length=1)]
    """`/exact`, `/with/{one}/segment`, or `/below/*`. The most specific match wins, whatever the order."""
    hosts: tuple[Annotated[str, Field(pattern=_HOST)], ...] = ()
    """Hosts that the route answers for, `*.example.com` included; none: all."""
    methods: tuple[Annotated[str, Field(pattern=_METHOD)], ...] = ()
    """Methods; none: all."""
    upstream: Name | None = None
    """Upstream that the request is forwarded to."""
    builtin: Builtin | None = None
    """What the gateway itself answers with: `billing_plan`, `docs`, `jwks`, `openapi`, or a part of its API such as `tenants`,
    which takes a path like `/api/v1/tenants/*`."""
    policies: Annotated[tuple[PolicyEntry, ...], Field(min_length=1)]
    """What a request has to pass, in this order."""
    max_body: Size = 10 << 20
    """Largest body."""
    encoded_slashes: bool = False
    """Let `%2f` and `%5c` in the path pass, for upstreams that treat them as data."""
    keep_authorization: bool = False
    """Hand the client's `Authorization` on to the upstream."""
    x_ratelimit_headers: bool = False
    """Tell the tightest limit in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) as well, for older clients."""
    white_label: bool = False
    """The route is for hosts that tenants have proved to be theirs: the host says which tenant a request is for."""
    on_store_failure: OnStoreFailure | None = None
    """What the route does while the store can't be reached; default: as `store.on_store_failure`."""
    stale_for: WithinADay | None = None
    """With `allow`: how old what is known of a tenant may be; default: as `store.stale_for`."""


class MetricSettings(Model):
    cap: Annotated[str, Field(pattern=_CAP)] | None = None
    """Name of its cap in every API; default `monthly_<singular>_cap`."""
    counted: Literal["delivered", "lazy"] | None = None
    """`delivered`: what a client has received whole is counted, whatever fails; `lazy`: it is within a tenth of a second,
    which a worker that is killed takes along. Default: `delivered`, of `requests`: `lazy`."""


class PlanSettings(Model):
    rate: Rate | None = None
    """Rate of all the tenant's requests that pass `rate_limit`, such as `100/second`; none: unlimited."""
    burst: Count | None = None
    """How many may come at once; default: the rate's count."""
    quotas: dict[Name, Count | None] = {}
    """Bounds by metric and calendar month; null: unlimited, 0: blocked."""
    concurrency: Count | None = None
    """Requests at once on routes with `concurrency`."""
    resources: dict[Name, Count | None] = {}
    """Bounds of things that exist, such as users; null: unlimited."""
    features: tuple[Name, ...] = ()
    """Features that the plan includes."""


class OrgSettings(Model):
    default_plan: Name
    """Plan of a tenant that is created without one."""
    quotas: dict[Name, Count | None] = {}
    """Bounds by metric and calendar month over all tenants of the organization."""
    provisioning: Literal["immediate", "handshake"] = "immediate"
    """`handshake`: a new tenant is answered 503 `TENANT_PROVISIONING` until its backend has acknowledged that its schema is
    there. `immediate`: it is served at once."""


class WebhookSettings(Model):
    allow_http: bool = False
    """Take endpoints of `http://` as well; what they are told can be read and changed on the way."""
    allow_private: tuple[IPvAnyNetwork, ...] = ()
    """Networks that endpoints may lie in though they are not public. Who may make a webhook can reach what is in them."""


class Settings(Model):
    """gateway.yaml."""

    version: Annotated[Literal[1], NoBoolean]
    """Version of this format."""
    listeners: Listeners = Listeners()
    """Where to listen."""
    store: StoreSettings = StoreSettings()
    """Where state lives."""
    secrets: Secrets = Secrets()
    """Keys; write them as `${VAR}` or `${file:/run/secrets/…}`, never in the file."""
    identity: Identity = Identity()
    """Who is believed about whom."""
    upstreams: dict[Name, Upstream] = {}
    """The services behind the gateway."""
    domains: DomainSettings = DomainSettings()
    """How domains of tenants and organizations are proved."""
    metrics: dict[Name, MetricSettings] = {}
    """Counted things beside the built-in `requests`, `emails`, `sms`, `messages` and `tokens`."""
    plans: Annotated[dict[Name, PlanSettings], Field(min_length=1)]
    """Bundles of limits and features."""
    orgs: Annotated[dict[Name, OrgSettings], Field(min_length=1)]
    """Platform accounts; the first is the default."""
    webhooks: WebhookSettings = WebhookSettings()
    """Where events may be delivered."""
    routes: Annotated[tuple[RouteSettings, ...], Field(min_length=1)]
    """What is served."""

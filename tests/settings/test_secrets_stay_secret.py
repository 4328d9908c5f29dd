"""Wherever a secret stands, and however wrong it is written, no fault tells it."""

from __future__ import annotations

import pytest

from .conftest import VALID, Refused

CANARY = "swordfish-swordfish"
NAME = "swordfish"
DIGITS = "0123456701234567012345670123456701234567"


@pytest.mark.parametrize(
    "spoilt",
    [
        f"secrets: {CANARY}",
        f"secrets: [{CANARY}]",
        f"secrets: {{encryption_key: {CANARY}}}",
        f"secrets: {{encryption_key: [{CANARY}]}}",
        f"secrets: {{encryption_kye: {CANARY}}}",
        f"secrets: {{retired_encryption_keys: {CANARY}}}",
        f"secrets: {{identity_key: {CANARY}}}",
        f"secrets: {{admin_keys: {CANARY}}}",
        f"secrets: {{admin_keys: {{ops: {CANARY}}}}}",
        f"secrets: {{admin_keys: {{Ops: {CANARY}}}}}",
        f"secrets: {{admin_keys: {{{CANARY.upper()}: ops}}}}",
        f"secrets: {{admin_keys: {{{CANARY}: ops, {CANARY}: ops}}}}",
        f"secrets: {{admin_keys: {{{DIGITS}: ops}}}}",
        f"secrets: {{admin_keys: {{ops: {DIGITS}}}}}",
        f"secrets: {{encryption_kye: {DIGITS}}}",
        f"secrets: {{admin_keys: {{ops: *{CANARY}}}}}",
        f"secrets: {{admin_keys: {{ops: !{CANARY} x}}}}",
        f"secrets: {{admin_keys: {{ops: !!{CANARY} x}}}}",
        f"secrets: {{admin_keys: {{ops: !{CANARY}!a x}}}}",
        f"secrets: {{admin_keys: {{ops: &{CANARY} x, b: &{CANARY} x}}}}",
        f"secrets: {{admin_keys: {{ops: @{CANARY}}}}}",
        f"secrets: {{admin_keys: {{ops: '{CANARY}}}}}",
        f"secrets:\n  admin_keys:\n    ops: a: {CANARY}",
        f"store: {{url: 'reds://:{CANARY}@store'}}",
        f"store: {{url: 'redis:{CANARY}'}}",
        f"store: {{url: ['redis://:{CANARY}@store']}}",
        f"identity: {{issuers: {{main: {CANARY}}}}}",
        f"identity: {{issuers: {{main: {{algorithms: [HS512], secret: {CANARY}}}}}}}",
        f"identity: {{issuers: {{main: {{algorithms: [RS256], secret: {CANARY}}}}}}}",
        f"identity: {{issuers: {{main: {{algorithms: [RS256], public_key: {CANARY}}}}}}}",
        f"identity: {{issuers: {{main: {{algorithms: [RS256], jwks_url: 'htps://u:{CANARY}/x@h/?k={CANARY}'}}}}}}",
        f"upstreams: {{app: {{targets: ['http://u:{CANARY}@h']}}}}",
    ],
)
def test_in_the_file(spoilt: str, refused: Refused) -> None:
    section = spoilt.partition(":")[0]
    lines = VALID.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith(f"{section}:")), None)
    if start is not None:
        end = next(n for n in range(start + 1, len(lines)) if not lines[n].startswith(" "))
        del lines[start:end]
    said = refused("\n".join([*lines, spoilt, ""]))
    assert CANARY not in said.lower()
    assert DIGITS not in said


@pytest.mark.parametrize(
    ("key", "policy"),
    [
        ("listeners: {public: {port: ${CANARY}}}", ""),
        ("listeners: {public: {host: '${CANARY}', port: '${CANARY}'}}", ""),
        ("listeners: '${CANARY}'", ""),
        ("store: {prefix: '${CANARY}/'}", ""),
        ("store: {deadline: 'x${CANARY}'}", ""),
        ("metrics: {pages: {cap: '-${CANARY}'}}", ""),
        ("", "rate_limit: {rate: '${CANARY}'}"),
        ("", "rate_limit: {per: '${CANARY}', rate: 5/second}"),
        ("", "quota: {metric: '${CANARY}'}"),
        ("", "quota: '${CANARY}'"),
        ("", "'${CANARY}'"),
        ("", "'${NAME}'"),
        ("", "acme.talkative.Talkative: {word: '${CANARY}'}"),
        ("", "acme.secretive.Secretive: {token: '${CANARY}'}"),
        ("", f"acme.secretive.Secretive: {{token: {CANARY}}}"),
        ("", f"acme.secretive.Secretive: {{token: {DIGITS}}}"),
        ("", f"acme.secretive.Secretive: {{token: [{CANARY}]}}"),
        ("", f"acme.secretive.Secretive: {{pin: {CANARY}}}"),
        ("", f"acme.secretive.Secretive: {{pin: {DIGITS}}}"),
    ],
)
def test_out_of_the_environment(key: str, policy: str, refused: Refused) -> None:
    text = VALID + key.replace("${CANARY}}}}", '"${CANARY}"}}') + "\n"
    if policy:
        text = VALID.replace("      - rate_limit\n", f"      - {policy}\n")
    said = refused(text, {"CANARY": CANARY, "NAME": NAME})
    assert CANARY not in said
    assert NAME not in said
    assert DIGITS not in said


@pytest.mark.parametrize(
    "variable",
    [
        "TENANTGATE__SECRETS",
        "TENANTGATE__SECRETS__ENCRYPTION_KEY",
        "TENANTGATE__SECRETS__RETIRED_ENCRYPTION_KEYS__0",
        "TENANTGATE__SECRETS__ADMIN_KEYS__OPS",
        "TENANTGATE__SECRETS__UNKNOWN",
        "TENANTGATE__LISTENERS__PUBLIC__PORT",
        "TENANTGATE__ORGS__MAIN__DEFAULT_PLAN",
        "TENANTGATE__ROUTES__0__POLICIES__3__RATE_LIMIT__RATE",
        "TENANTGATE__ROUTES__0__UPSTREAM",
    ],
)
@pytest.mark.parametrize("form", ["{}", '["{}"]', '{{"{}": 5}}', "[{}"])
def test_out_of_an_override(variable: str, form: str, refused: Refused) -> None:
    value = form.format(CANARY)
    said = refused(VALID, {variable: value})
    assert CANARY not in said

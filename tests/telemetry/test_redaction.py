from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.registry.webhooks import secret_text
from gateway.telemetry.redaction import redact_names, redact_text
from gateway.tenancy.keytext import new_api_key, new_signing_secret, new_widget_key

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
NAMES = """
    authorization Authorization proxy-authorization Cookie set-cookie X-Api-Key x_admin_key X-Widget-Key X-Signature
    password client_secret tenant_secret access_token refresh_token public_key encryption_key
"""
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT.rpartition(".")[0],
        new_api_key("tg", "live"),
        new_api_key("acme", "test"),
        new_signing_secret(),
        new_widget_key(),
        secret_text(bytes(range(200, 232))),
        "v1=" + "0a" * 32,
        PEM,
    ],
    ids=[
        "jwt",
        "jwt-unsigned",
        "key",
        "key-of-another-prefix",
        "signing-secret",
        "widget-key",
        "webhook-secret",
        "signature",
        "pem",
    ],
)
@pytest.mark.parametrize("around", ["{}", "key {} was sent", '"{}"', "/path/{}/x", "a={}&b=1", "[{}]", "{},"])
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(secret, around):
    masked = redact_text(around.format(secret))
    assert "[redacted]" in masked
    for part in (secret, secret[:24], secret[-20:]):
        assert part not in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer opaque-token", "Authorization: Bearer [redacted]"),
        ("bearer   x.y.z done", "bearer   [redacted] done"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("GET /?public_key=abc&x=1", "GET /?public_key=[redacted]&x=1"),
        ("redis://user:hunter2@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("redis://:hunter2@host", "redis://[redacted]@host"),
    ],
)
def test_what_stands_around_a_secret_stays(text, masked):
    assert redact_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/api/v1/users",
        "key_01h455vb4pex5vsknk084sn02q",
        "https://example.com/a@b",
        "task_id",
        "pk_abcdefgh",
        "v1=1",
        "tg_live_1",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact_text(text) == text


@example("", PEM, '"')
@example("", PEM, "\\")
@given(st.text(), st.sampled_from([JWT, PEM, "Bearer abc", "://a:b@c", "token=x"]), st.text())
def test_a_rendered_line_stays_json(before, secret, after):
    line = json.dumps({"event": before + secret + after, "next": 1})
    assert json.loads(redact_text(line))["next"] == 1


@pytest.mark.parametrize("name", NAMES.split())
def test_what_stands_under_the_name_of_a_secret_is_masked(name):
    assert redact_names({name: "hidden", "n": [{name: {"a": "hidden"}}]}) == {name: "[redacted]", "n": [{name: "[redacted]"}]}


@pytest.mark.parametrize("name", ["key_id", "credential_id", "request_id", "tenant", "route", "monkey"])
def test_what_stands_under_another_name_stays(name):
    assert redact_names({name: "shown"}) == {name: "shown"}


def test_what_is_nested_too_deep_is_not_looked_at_but_masked():
    value: object = "hidden"
    for _ in range(100):
        value = {"x": value}
    assert "hidden" not in json.dumps(redact_names(value))

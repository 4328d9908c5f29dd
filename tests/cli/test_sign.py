from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.sign import sign, sign_headers
from gateway.pipeline.claim import Evidence
from policies.hmac_signature import HmacSignature
from tests.policies.credentials import NOW, SECRET, SETUP, TENANT, TENANT_ID, request

URL = "https://API.example:8443/v1/users?page=2"


@pytest.fixture
def app() -> typer.Typer:
    built = typer.Typer()
    built.command()(sign)
    return built


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "acme.secret"
    file.write_text(SECRET + "\n")
    return file


def accepted(headers: dict[str, str], *, host: str, target: str, body: bytes = b"", method: str = "GET") -> bool:
    sent = request(method, target, headers, host=host, received_at=float(headers["X-Timestamp"]))
    claim = HmacSignature(HmacSignature.Config(), SETUP).authenticate(sent)
    return claim.prove(Evidence(TENANT, sha256(body).hexdigest())).subject == TENANT.typeid


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        (URL, "api.example:8443", "/v1/users?page=2"),
        ("https://api.example", "api.example", "/"),
        ("https://api.example:443/", "api.example", "/"),
        ("http://api.example:80?x=1", "api.example", "/?x=1"),
        ("http://api.example:443/", "api.example:443", "/"),
        ("http://[::1]:8080/a%2Fb?", "[::1]:8080", "/a%2Fb?"),
        ("http://127.0.0.1:8080/a#part", "127.0.0.1:8080", "/a"),
        ("HTTPS://api.example/A?b=c?d", "api.example", "/A?b=c?d"),
    ],
)
def test_the_gateway_accepts_what_was_signed_for_a_url(url: str, host: str, target: str) -> None:
    headers = dict(sign_headers("GET", url, tenant_id=str(TENANT_ID), secret=SECRET, timestamp=NOW))
    assert accepted(headers, host=host, target=target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example/",
        "ftp://api.example/",
        "https:///x",
        "https://u:p@api.example/",
        "https://api.example/a b",
        "https://caf\xe9.example/",
        "https://api.example:99999/",
        "https://api.example/a\nb",
    ],
)
def test_a_url_that_cannot_be_signed_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        sign_headers("GET", url, tenant_id=str(TENANT_ID), secret=SECRET)


def test_a_nonce_or_tenant_that_cannot_be_accepted_is_refused() -> None:
    with pytest.raises(ValueError, match="nonce"):
        sign_headers("GET", URL, tenant_id=str(TENANT_ID), secret=SECRET, nonce="short")
    with pytest.raises(ValueError, match="acme"):
        sign_headers("GET", URL, tenant_id="acme", secret=SECRET)


def test_every_call_has_a_nonce_of_its_own() -> None:
    nonces = {sign_headers("GET", URL, tenant_id=str(TENANT_ID), secret=SECRET)["X-Nonce"] for _ in range(100)}
    assert len(nonces) == 100


def test_the_command_prints_headers(app: typer.Typer, secret_file: Path, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(b'{"a": 1}\n')
    arguments = ["post", URL, "--tenant", TENANT.typeid, "--secret-file", str(secret_file), "--body", f"@{body}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    headers = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert list(headers) == ["X-Tenant-Id", "X-Timestamp", "X-Nonce", "X-Signature"]
    assert accepted(headers, host="api.example:8443", target="/v1/users?page=2", body=body.read_bytes(), method="POST")


def test_the_command_prints_arguments_for_curl(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTGATE_SECRET", SECRET)
    result = CliRunner().invoke(app, ["PUT", URL, "--tenant", TENANT.typeid, "--body", "text", "--format", "curl"])
    words = shlex.split(result.stdout)
    assert words[::2] == ["-H"] * 4
    headers = dict(word.split(": ", 1) for word in words[1::2])
    assert accepted(headers, host="api.example:8443", target="/v1/users?page=2", body=b"text", method="PUT")
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["GET", URL, "--tenant", TENANT.typeid], "TENANTGATE_SECRET"),
        (["GET", URL, "--tenant", TENANT.typeid, "--secret-file", "/nonexistent"], "nonexistent"),
        (["GET", URL, "--tenant", "acme", "--secret-file", "{file}"], "acme"),
        (["GET", "nowhere", "--tenant", TENANT.typeid, "--secret-file", "{file}"], "nowhere"),
        (["GET", URL, "--tenant", TENANT.typeid, "--secret-file", "{file}", "--body", "@/nonexistent"], "nonexistent"),
        (["GET", URL, "--tenant", TENANT.typeid, "--secret", SECRET], "--secret"),
    ],
)
def test_the_command_says_what_is_wrong(
    app: typer.Typer, secret_file: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.delenv("TENANTGATE_SECRET", raising=False)
    result = CliRunner().invoke(app, [argument.format(file=secret_file) for argument in arguments])
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output

"""The page about signing is true: its example is recomputed by each of the ways that it shows, and by the gateway."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.cli.sign import sign_headers
from gateway.pipeline.claim import Evidence
from gateway.tenancy.credential import SigningSecret
from policies.hmac_signature import HmacSignature, string_to_sign
from tests.policies.credentials import SETUP, TENANT, request

PAGE = (Path(__file__).parents[2] / "docs" / "signing.md").read_text()
BODY = '{"name":"Ada"}'
TENANT_ID, TIMESTAMP, NONCE = "019e4ae7-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "1780000000", "docs-example-0001"
METHOD, HOST, TARGET = "POST", "api.example.com", "/v1/users?notify=yes"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def secret() -> str:
    found = re.search(r"With the secret `(sk_\w+)`", PAGE)
    assert found is not None
    return found[1]


def shown_headers() -> Mapping[str, str]:
    return dict(line.split(": ", 1) for line in blocks("text")[1].splitlines())


def test_the_string_to_sign_is_the_shown_one() -> None:
    message = string_to_sign(TENANT_ID, TIMESTAMP, NONCE, METHOD, HOST, TARGET, sha256(BODY.encode()).hexdigest())
    assert message.decode() + "\n" == blocks("text")[0]


def test_the_command_signs_as_shown() -> None:
    url = f"https://{HOST}{TARGET}"
    signed = sign_headers(
        METHOD, url, tenant_id=TENANT_ID, secret=secret(), body=BODY.encode(), timestamp=int(TIMESTAMP), nonce=NONCE
    )
    assert signed == shown_headers()


def test_the_gateway_accepts_what_is_shown() -> None:
    sent = request(METHOD, TARGET, dict(shown_headers()), host=HOST, received_at=int(TIMESTAMP))
    tenant = replace(TENANT, secrets=(SigningSecret("sec_1", secret().encode()),))
    claim = HmacSignature(HmacSignature.Config(), SETUP).authenticate(sent)
    assert claim.prove(Evidence(tenant, sha256(BODY.encode()).hexdigest())).subject == TENANT.typeid


def test_the_python_code_signs_as_shown() -> None:
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)
    signed = names["sign"](TENANT_ID, secret(), METHOD, HOST, TARGET, BODY.encode(), TIMESTAMP, NONCE)
    assert signed == shown_headers()
    assert names["sign"](TENANT_ID, secret(), METHOD, HOST, TARGET)["X-Nonce"] != NONCE


def test_the_shell_code_signs_as_shown() -> None:
    (code,) = blocks("bash")
    given = {
        "TENANT_ID": TENANT_ID,
        "SECRET": secret(),
        "METHOD": METHOD,
        "HOST": HOST,
        "TARGET": TARGET,
        "BODY": BODY,
        "TIMESTAMP": TIMESTAMP,
        "NONCE": NONCE,
    }
    # curl is replaced by a function that prints its arguments: what it would send is what is shown.
    script = 'curl() { printf "%s\\n" "$@"; }\nset -euo pipefail\n' + code
    run = subprocess.run(["bash", "-c", script], env={**os.environ, **given}, capture_output=True, text=True, check=True)
    arguments = run.stdout.splitlines()
    assert arguments[:5] == ["-X", METHOD, f"https://{HOST}{TARGET}", "--data-binary", BODY]
    assert dict(line.split(": ", 1) for line in arguments if line.startswith("X-")) == shown_headers()

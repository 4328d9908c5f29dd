"""Files for TLS toward upstreams are read when the configuration is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.forward.certificates import Authority

from .conftest import VALID, Load, Refused


def _with(keys: str, target: str = "https://127.0.0.1:9000") -> str:
    return VALID.replace('targets: ["http://127.0.0.1:9000"]', f'targets: ["{target}"]\n    {keys}')


def test_files_that_fit_are_accepted(tmp_path: Path, loaded: Load) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway.internal")
    upstream = loaded(
        _with(
            f"ca_file: {authority.file}\n    client_cert_file: {certificate}\n    client_key_file: {key}\n"
            "    server_name: app.internal"
        )
    ).upstreams["app"]
    assert (upstream.client_key_file, upstream.server_name) == (key, "app.internal")


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file", "client_key_file"])
def test_a_file_that_is_not_there_is_told(key: str, refused: Refused) -> None:
    said = refused(_with(f"{key}: missing.pem"))
    assert 'found "missing.pem" (No such file or directory), expected a file that is there and can be read.' in said
    assert said.startswith("gateway.yaml:")


def test_authorities_must_be_certificates(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    assert 'found "ca.pem", expected a file of certificates in PEM.' in refused(_with("ca_file: ca.pem"))


def test_a_key_must_be_that_of_the_certificate(tmp_path: Path, refused: Refused) -> None:
    authority = Authority(tmp_path)
    (certificate, _), (_, key) = authority.issue("a.internal"), authority.issue("b.internal")
    said = refused(_with(f"client_cert_file: {certificate.name}\n    client_key_file: {key.name}"))
    assert 'found "a.internal.crt", to which the key does not belong, expected the certificate of the key in' in said


def test_a_certificate_needs_its_key(tmp_path: Path, refused: Refused) -> None:
    certificate, key = Authority(tmp_path).issue("a.internal")
    assert "expected a certificate in PEM, and its key" in refused(_with(f"client_cert_file: {certificate.name}"))
    said = refused(_with(f"client_key_file: {key.name}"))
    assert "found a key without its certificate, expected client_cert_file beside it." in said


def test_nobody_is_asked_for_a_passphrase_at_start(tmp_path: Path, refused: Refused) -> None:
    certificate, key = Authority(tmp_path).issue("a.internal", passphrase=b"swordfish")
    said = refused(_with(f"client_cert_file: {certificate.name}\n    client_key_file: {key.name}"))
    assert "without a passphrase" in said
    assert "openssl pkey" in said


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file", "client_key_file", "server_name"])
def test_keys_for_tls_have_a_target_that_uses_it(key: str, refused: Refused) -> None:
    said = refused(_with(f"{key}: app.internal", target="http://127.0.0.1:9000"))
    assert f"found {key}, and no target of https, expected a target such as https://" in said


def test_a_server_name_is_a_host(refused: Refused) -> None:
    assert "expected a host name in lower case, such as app.internal" in refused(_with('server_name: "*.internal"'))

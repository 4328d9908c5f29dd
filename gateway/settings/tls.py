"""TLS toward an upstream: what its files hold, and what is wrong with them."""

from __future__ import annotations

import ssl
from pathlib import Path

from .document import Document
from .fault import KeyPath
from .upstreams import Upstream

_FILES = ("ca_file", "client_cert_file", "client_key_file")
_PASSPHRASE = "Write the key without one: openssl pkey -in key.pem -out plain.pem"  # noqa: S105


def uses_tls(upstream: Upstream) -> bool:
    return any(target.startswith("https:") for target in upstream.targets)


def tls_context(upstream: Upstream) -> ssl.SSLContext:
    """Verifies the upstream, and shows it our certificate where there is one. Raises OSError where a file can't be used."""
    context = ssl.create_default_context(cafile=upstream.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if upstream.client_cert_file is not None:
        # Without a passphrase of ours OpenSSL would ask for one at the terminal.
        context.load_cert_chain(upstream.client_cert_file, upstream.client_key_file, password="")
    return context


def check_tls(document: Document, path: KeyPath, upstream: Upstream) -> None:
    """Add every fault of the upstream's keys for TLS."""
    count = len(document.faults)
    if not uses_tls(upstream):
        for key in (*_FILES, "server_name"):
            if getattr(upstream, key) is not None:
                document.refuse((*path, key), f"{key}, and no target of https", "a target such as https://app.internal:8443")
        return
    if upstream.client_key_file is not None and upstream.client_cert_file is None:
        document.refuse((*path, "client_key_file"), "a key without its certificate", "client_cert_file beside it")
    for key in _FILES:
        file = getattr(upstream, key)
        if file is not None:
            _check_file(document, (*path, key), file)
    if len(document.faults) == count:
        _check_contents(document, path, upstream)


def _check_file(document: Document, at: KeyPath, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        found = f"{document.show(at, str(file))} ({error.strerror})"
        document.refuse(at, found, "a file that is there and can be read")


def _check_contents(document: Document, path: KeyPath, upstream: Upstream) -> None:
    at = (*path, "ca_file")
    try:
        tls_context(upstream.model_copy(update={"client_cert_file": None}))
    except OSError:
        document.refuse(at, document.show(at, str(upstream.ca_file)), "a file of certificates in PEM")
        return
    at = (*path, "client_cert_file")
    try:
        tls_context(upstream)
    except OSError as error:
        shown = document.show(at, str(upstream.client_cert_file))
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            document.refuse(at, f"{shown}, to which the key does not belong", "the certificate of the key in client_key_file")
        else:
            expected = "a certificate in PEM, and its key in PEM without a passphrase, there or in client_key_file"
            document.refuse(at, shown, expected, _PASSPHRASE)

"""What is written of secrets, and who can read it back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import pytest

from gateway.errors import SECRETS_UNREADABLE, Refused
from gateway.registry.cipher import Cipher
from gateway.registry.tenants import NewTenant
from gateway.store.connect import Store
from tests.registry.samples import KEY, registry_over

NEW_KEY = b64encode(b"n" * 32).decode()


async def dump(store: Store, prefix: str) -> bytes:
    """Everything that is stored under the prefix, keys and values."""
    names = await store.control.command("KEYS", f"{prefix}:*")
    assert isinstance(names, list)
    found = []
    for name in names:
        assert isinstance(name, bytes)
        kind = await store.control.command("TYPE", name)
        read = {
            b"string": ("GET", name),
            b"hash": ("HGETALL", name),
            b"zset": ("ZRANGE", name, 0, -1),
            b"list": ("LRANGE", name, 0, -1),
            b"stream": ("XRANGE", name, "-", "+"),
        }
        assert isinstance(kind, bytes)
        found += [name, await store.control.command(*read[kind])]
    return b"\n".join(flat(found))


def flat(reply: object) -> Iterator[bytes]:
    if isinstance(reply, list):
        for part in reply:
            yield from flat(part)
    elif isinstance(reply, bytes):
        yield reply


async def test_no_secret_and_no_api_key_stands_in_the_store(store: Store, key_prefix: str) -> None:
    registry = registry_over(store)
    created = await registry.tenants.create(NewTenant("platform", "Acme"))
    _, rotated = await registry.tenants.rotate_secret(created.tenant.id, grace_seconds=60)
    keys = [await registry.keys.mint(owner, "k", frozenset(), created_by="ops") for owner in ("platform", created.tenant.id)]
    stored = await dump(store, key_prefix)
    assert b"acme" in stored
    for secret in (created.secret, rotated, *(minted.text for minted in keys)):
        for part in (secret, secret.rpartition("_")[2], b64encode(secret.encode()).decode()[:20]):
            assert part.encode() not in stored
        assert secret not in repr((created, keys, created.tenant))


async def test_a_retired_key_still_decrypts_until_everything_is_encrypted_anew(store: Store) -> None:
    before = registry_over(store)
    created = await before.tenants.create(NewTenant("platform", "Acme"))
    during = registry_over(store, Cipher(NEW_KEY, [KEY]))
    read = await during.tenants.get(created.tenant.id)
    assert read.secrets[0].value == created.secret.encode()
    after = registry_over(store, Cipher(NEW_KEY))
    with pytest.raises(Refused) as caught:
        await after.tenants.get(created.tenant.id)
    assert caught.value.problem is SECRETS_UNREADABLE
    assert await during.tenants.reencrypt() == 1
    assert await during.tenants.reencrypt() == 0
    anew = await after.tenants.get(created.tenant.id)
    assert anew.secrets == created.tenant.secrets
    assert anew.version > created.tenant.version
    assert anew.updated_at == created.tenant.updated_at


class TestCipher:
    def test_what_is_encrypted_is_another_text_each_time_and_decrypts(self) -> None:
        cipher = Cipher(KEY)
        first, second = (cipher.encrypt(b"secret", "here") for _ in range(2))
        assert first != second
        assert cipher.decrypt(first, "here") == cipher.decrypt(second, "here") == b"secret"

    @pytest.mark.parametrize(
        "change", [lambda text: text[:-8] + "AAAA" + text[-4:], lambda text: text[:20], lambda text: "x." + text]
    )
    def test_a_changed_text_does_not_decrypt(self, change: object) -> None:
        assert callable(change)
        with pytest.raises(Refused) as caught:
            Cipher(KEY).decrypt(change(Cipher(KEY).encrypt(b"secret", "here")), "here")
        assert caught.value.problem is SECRETS_UNREADABLE

    def test_a_text_that_was_moved_does_not_decrypt(self) -> None:
        with pytest.raises(Refused):
            Cipher(KEY).decrypt(Cipher(KEY).encrypt(b"secret", "here"), "there")

    @pytest.mark.parametrize("key", ["", "short", b64encode(b"k" * 31).decode(), "!" * 44])
    def test_a_bad_key_is_refused_without_being_shown(self, key: str) -> None:
        with pytest.raises(ValueError, match="32 bytes in base64") as caught:
            Cipher(key)
        assert not key or key not in str(caught.value)

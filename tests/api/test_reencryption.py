"""Changing the encryption key: everything is stored under the new one, and the old one can go."""

from __future__ import annotations

from gateway.registry.cipher import Cipher
from gateway.store.connect import Store
from tests.api.samples import Operator, admin_client
from tests.registry.samples import KEY, registry_over
from tests.registry.test_secrecy import NEW_KEY


async def test_secrets_are_encrypted_anew_once(store: Store, operator: Operator) -> None:
    secret = (await operator.provision())["tenant_secret"]
    changed = registry_over(store, Cipher(NEW_KEY, [KEY]))
    async with admin_client(changed, dict(operator.http.headers)) as client:
        told = [(await client.post("/api/v1/reencrypt/secrets")).json() for _ in range(2)]
    assert [answer["data"] for answer in told] == [{"reencrypted": 1}, {"reencrypted": 0}]
    assert secret not in str(told)
    (tenant,), _ = await registry_over(store, Cipher(NEW_KEY)).tenants.page(1)
    assert tenant.secrets[0].value == secret.encode()


async def test_a_misplaced_body_or_parameter_changes_nothing(operator: Operator) -> None:
    assert (await operator.post("reencrypt/secrets", {"all": True})).status_code == 422
    assert (await operator.post("reencrypt/secrets", tenant_id="x")).status_code == 422

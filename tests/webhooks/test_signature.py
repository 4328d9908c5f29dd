"""Signatures as receivers with a library of Standard Webhooks verify them."""

from __future__ import annotations

from base64 import b64decode

from gateway.tenancy.credential import SigningSecret
from gateway.webhooks.signature import signed_headers

NAME, NOW, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, b'{"test": 2432232314}'
PUBLISHED = SigningSecret("sec_1", b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_reproduced() -> None:
    assert signed_headers([PUBLISHED], NAME, NOW, BODY) == {
        "webhook-id": NAME,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_valid_secret_signs_and_no_other() -> None:
    old, over = SigningSecret("sec_2", b"old", not_after=NOW + 1), SigningSecret("sec_3", b"over", not_after=NOW)
    alone = {secret.id: signed_headers([secret], NAME, NOW, BODY)["webhook-signature"] for secret in (PUBLISHED, old)}
    both = signed_headers([PUBLISHED, old, over], NAME, NOW, BODY)["webhook-signature"]
    assert both.split(" ") == [SIGNATURE, alone["sec_2"]]

"""A store that takes only what a cluster would take: scripts whose keys share one hash slot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from redis.crc import key_slot

from gateway.store.client import Client
from gateway.store.connect import Store
from gateway.store.script import Script
from gateway.store.wire import Part, Reply

Seen = dict[str, list[set[int]]]
"""By script, the slots of the keys of each of its calls."""


@contextmanager
def one_slot_a_call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Stores are sharded from now on, as far as their callers know. Fails where a call has named keys of two slots, though
    whoever made it went on without an answer."""
    seen: Seen = defaultdict(list)
    run = Client.run

    async def checked(client: Client, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Reply:
        slots = {key_slot(key.encode()) for key in keys}
        seen[script.name].append(slots)
        assert len(slots) <= 1, f"CROSSSLOT: {script.name} {keys}"
        return await run(client, script, keys, args)

    monkeypatch.setattr(Store, "sharded", True)
    monkeypatch.setattr(Client, "run", checked)
    yield seen
    assert [name for name, calls in seen.items() if max(map(len, calls)) > 1] == []

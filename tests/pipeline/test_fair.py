from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.fair import FairCache

OWN, SIZE = 3, 8
puts = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=80)


def filled(puts: list[tuple[str, int]]) -> FairCache[tuple[str, int], str]:
    cache = FairCache[tuple[str, int], str](OWN, SIZE)
    for owner, number in puts:
        cache.put(owner, (owner, number), owner)
    return cache


def owned(cache: FairCache[tuple[str, int], str], owner: str) -> list[int]:
    return [number for number in range(13) if cache.get((owner, number)) is not None]


@given(puts)
def test_it_holds_so_many_of_one_owner_and_so_many_in_all(puts: list[tuple[str, int]]) -> None:
    cache = filled(puts)
    held = [len(owned(cache, owner)) for owner in "abcdef"]
    assert max(held) <= OWN
    assert sum(held) == len(cache) <= SIZE


@given(puts, st.lists(st.integers(0, 12), max_size=40))
def test_an_owner_with_many_takes_nothing_from_others_but_the_share_that_it_may_have(
    puts: list[tuple[str, int]], many: list[int]
) -> None:
    cache = filled(puts)
    before = sum(len(owned(cache, owner)) for owner in "bcdef")
    for number in many:
        cache.put("a", ("a", number), "a")
    assert sum(len(owned(cache, owner)) for owner in "bcdef") >= min(before, SIZE - OWN)


@given(puts.filter(bool))
def test_what_was_put_last_is_there(puts: list[tuple[str, int]]) -> None:
    assert filled(puts).get(puts[-1]) == puts[-1][0]


def test_a_value_may_change_its_owner() -> None:
    cache = FairCache[str, int](2, 4)
    cache.put("a", "key", 1)
    cache.put("b", "key", 2)
    assert (cache.get("key"), len(cache)) == (2, 1)
    for name in ("x", "y"):
        cache.put("a", name, 3)
    assert cache.get("key") == 2
    cache.forget("key")
    cache.forget("key")
    assert (cache.get("key"), len(cache)) == (None, 2)

"""Heads as hypothesis makes them take the short cut: what the end-to-end tests compare is not one and the same walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.edge.head import read_head, value_spans
from tests.e2e.heads import Repeated, repeated

from .stand import Counted, Stand, saying

SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def is_plain(request: Repeated) -> bool:
    """Whether nothing in the head itself keeps it from the short cut."""
    head = read_head(request.text([], "m").partition(b"\r\n\r\n")[0])
    is_usual = not (request.absolute or request.chunked or request.method == "HEAD")
    return is_usual and head.fault is None and head.persistent and not head.continues


async def test_those_that_are_admitted_take_it_from_the_fourth_time_on(stand: Stand) -> None:
    tenant = await stand.tenant("acme")
    stand.upstream.play = saying(SHORT)
    key, platform = await stand.key(tenant), await stand.key("main")
    proofs: dict[str, Sequence[str]] = {
        "public": [],
        "nobody": [],
        "token": [f"Authorization: Bearer {stand.token('acme')}", "X-Tenant: acme"],
        "key": [f"X-Api-Key: {key}"],
        "platform key": [f"Authorization: Bearer {platform}", "X-Tenant: acme"],
        "widget key": [f"X-Widget-Key: {tenant.widget_keys[0].value}", "Origin: https://acme.example"],
    }
    admitted = 0

    async def ask_again(request: Repeated) -> None:
        nonlocal admitted
        text = request.text(proofs[request.caller], "m")
        asked, begun = len(stand.upstream.asked), Counted.begun
        for _ in range(5):
            async with stand.client() as client:
                await client.say(text)
                await client.connection.until(b"\r\n\r\n")
        if len(stand.upstream.asked) > asked and is_plain(request):
            admitted += 1
            # A lease may end in between, on a machine that is busy.
            assert Counted.begun > begun, text
        else:
            assert Counted.begun == begun, text

    for request in samples(80):
        route = "/open" if request.caller == "public" else "/api"
        await ask_again(replace(request, route=route))
    assert admitted > 20


def samples(number: int) -> list[Repeated]:
    """The same ones each time."""
    found: list[Repeated] = []

    @given(repeated)
    @settings(max_examples=number, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def collect(request: Repeated) -> None:
        found.append(request)

    collect()
    return found


@given(
    st.lists(
        st.tuples(st.sampled_from([b"a", b"x-b"]), st.lists(st.sampled_from(b"a :\t,\xff"), max_size=6).map(bytes)), max_size=6
    )
)
def test_values_are_found_where_they_stand(fields: list[tuple[bytes, bytes]]) -> None:
    block = b"\r\n".join([b"GET / HTTP/1.1", *(name + b":" + value for name, value in fields)])
    assert [block[span] for span in value_spans(block)] == [value for _, value in read_head(block).fields]

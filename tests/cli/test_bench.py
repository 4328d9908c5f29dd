"""What is sent is what was asked for, and what is told is what came back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.cli.bench.connection import Answer, Connection, problem
from gateway.cli.bench.cost import CostUnknown, Used, processor_seconds, url_of
from gateway.cli.bench.load import Load, Tally, Unreachable, ask
from gateway.cli.bench.report import Report
from gateway.cli.bench.request import Request
from gateway.cli.bench.run import NotWelcome, run
from gateway.errors import RATE_LIMITED
from gateway.settings.schema import AdminListener

Respond = Callable[[int, bytes], bytes]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = json.dumps({"code": "RATE_LIMITED", "detail": "Too fast."}).encode()
LIMITED = b"HTTP/1.1 429 Too Many\r\nContent-Length: %d\r\n\r\n%b" % (len(REFUSAL), REFUSAL)


@asynccontextmanager
async def answering(respond: Respond) -> AsyncIterator[str]:
    """A server that is given the number of each request and its head, and closes where the answer says so, or is empty."""
    number, serving = 0, set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                number += 1
                answer = respond(number, head)
                writer.write(answer)
                if not answer or b"Connection: close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        await asyncio.gather(*serving)


async def unknown() -> Used:
    return Used()


# The request


def test_the_request_has_the_headers_that_were_given_and_one_host():
    sent = Request.of("http://api.example:8080/v1/a?b=c", ["X-Tenant: acme", "Accept:*/*"]).bytes
    assert sent == b"GET /v1/a?b=c HTTP/1.1\r\nHost: api.example:8080\r\nX-Tenant: acme\r\nAccept: */*\r\n\r\n"
    assert b"Host: other\r\n" in Request.of("http://api.example/", ["Host: other"]).bytes
    assert b"api.example" not in Request.of("http://api.example/", ["Host: other"]).bytes


def test_data_make_it_a_post_with_their_length(tmp_path):
    (tmp_path / "body").write_bytes(b"\x00\xff")
    assert Request.of("http://a.example/", [], data=f"@{tmp_path / 'body'}").bytes.endswith(
        b"\r\nContent-Length: 2\r\n\r\n\x00\xff"
    )
    assert Request.of("http://a.example/", [], data="").bytes.startswith(b"POST / ")
    assert Request.of("http://a.example/", [], "put", "x").bytes.startswith(b"PUT / ")


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("Authorization", "a header is given as"),
        ("X-Secret: s3cret\r\nX-Other: 1", "a header is given as"),
        ("X Secret: s3cret", "a header is given as"),
        ("X-Secret: s3crét", "outside of ASCII"),
        ("Content-Length: 5", "set by the command itself"),
        ("transfer-encoding: chunked", "set by the command itself"),
    ],
)
def test_a_header_that_can_not_be_sent_is_refused_without_its_value(header, fault):
    with pytest.raises(ValueError, match=fault) as raised:
        Request.of("http://a.example/", [header])
    assert "s3cr" not in str(raised.value)


def test_a_credential_is_shown_neither_of_the_request_nor_of_its_url():
    request = Request.of("http://a.example/x?key=s3cret", ["Authorization: Bearer s3cret"])
    assert "s3cret" not in repr(request)
    assert "s3cret" not in Report(request, 1, Tally(seconds=1.0), Used()).json()


@pytest.mark.parametrize("url", ["ftp://a.example/", "http://user@a.example/", "a.example", "http://a.example/a b"])
def test_what_is_no_url_to_ask_is_refused(url):
    with pytest.raises(ValueError, match="URL"):
        Request.of(url, [])


# The load


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
async def test_every_answer_is_counted_once_however_it_is_framed(answer):
    served = 0

    def respond(number: int, _: bytes) -> bytes:
        nonlocal served
        served = number
        return answer

    async with answering(respond) as url:
        tally = await Load(Request.of(url, []), 3, 0.1).run()
    assert tally.answers.total() == len(tally.took) == served > 3
    assert {status // 100 for status, _ in tally.answers} == {2}
    assert not tally.broken
    assert 0.1 <= tally.seconds < 5
    assert 0 < tally.quantile(0.5) <= tally.quantile(0.99) < 5


class Silent(asyncio.Transport):
    """Where what is sent goes nowhere."""

    def write(self, data: object) -> None: ...

    def is_closing(self) -> bool:
        return False


@pytest.mark.parametrize("answer", [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, OK])
def test_an_answer_ends_with_its_last_byte_and_no_sooner(answer):
    ended: list[Answer | str] = []
    connection = Connection(Request.of("http://a.example/", []), ended.append)
    connection.connection_made(Silent())
    connection.send()
    for byte in answer[:-1]:
        connection.data_received(bytes([byte]))
    assert ended == []
    connection.data_received(answer[-1:])
    assert [one.status for one in ended if isinstance(one, Answer)] == [200]


async def test_an_answer_to_head_has_no_body_to_wait_for():
    async with answering(lambda number, _: b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") as url:
        tally = await Load(Request.of(url, [], "HEAD"), 2, 0.05).run()
    assert tally.answers[200, ""] > 2


async def test_refusals_are_counted_by_their_code():
    async with answering(lambda number, _: OK if number % 2 else LIMITED) as url:
        tally = await Load(Request.of(url, []), 1, 0.1).run()
    assert set(tally.answers) == {(200, ""), (429, "RATE_LIMITED")}
    assert abs(tally.answers[200, ""] - tally.answers[429, "RATE_LIMITED"]) <= 1


async def test_a_connection_that_breaks_is_told_and_made_again():
    async with answering(lambda number, _: b"" if number == 2 else OK) as url:
        tally = await Load(Request.of(url, []), 1, 0.1).run()
    assert tally.broken == Counter({"the connection was closed before the answer was complete": 1})
    assert tally.answers[200, ""] > 1


async def test_what_is_no_http_is_told():
    async with answering(lambda number, _: b"SSH-2.0-x\r\n\r\n") as url:
        with pytest.raises(Unreachable, match="not well-formed"):
            await ask(Request.of(url, []))


async def test_where_nobody_listens_is_told():
    async with answering(lambda number, _: OK) as url:
        pass
    request = Request.of(url, [])
    with pytest.raises(Unreachable, match=f"No connection to 127.0.0.1:{request.port}"):
        await Load(request, 1, 1).run()


# The run


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (LIMITED, ["429 RATE_LIMITED", "Too fast.", RATE_LIMITED.advice, f"for the {RATE_LIMITED.owner} to act"]),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", ["404", "what answers behind it"]),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", ["302", "what answers behind it"]),
    ],
)
async def test_nothing_is_timed_where_the_first_answer_is_a_refusal(answer, told):
    asked = 0

    def respond(number: int, _: bytes) -> bytes:
        nonlocal asked
        asked = number
        return answer

    async with answering(respond) as url:
        with pytest.raises(NotWelcome) as raised:
            await run(Request.of(url, []), 4, 0.1, unknown, print)
    assert asked == 1
    assert [text for text in told if text not in str(raised.value)] == []


async def test_what_the_gateway_used_is_told_for_each_answer():
    used = iter([Used(1.0, 100.0), Used(3.0, 110.0)])

    async def costs() -> Used:
        return next(used)

    said: list[str] = []
    async with answering(lambda number, _: OK) as url:
        report = await run(Request.of(url, []), 2, 0.05, costs, said.append)
    told = json.loads(report.json())
    assert told["processor_per_answer"] == pytest.approx(2.0 / report.answers)
    assert told["store_calls_per_answer"] == pytest.approx(10.0 / report.answers)
    assert told["statuses"] == {"200": report.answers}
    assert said[0].startswith(f"GET {url}: 200 in ")


def test_the_table_tells_what_is_known_and_nothing_else():
    tally = Tally(Counter({(200, ""): 3, (429, "RATE_LIMITED"): 1}), seconds=2.0)
    tally.took.extend([0.001, 0.002, 0.003, 0.004])
    request = Request.of("http://a.example/", [])
    lines = {line.split("  ")[0]: line.split()[-1] for line in Report(request, 1, tally, Used()).text().splitlines()}
    assert (lines["a second"], lines["answered 200"], lines["answered 429 RATE_LIMITED"]) == ("2", "3", "1")
    assert "calls of the store" not in lines
    assert "300,000 µs for each answer" in Report(request, 1, tally, Used(1.2, 0.0)).text()


@pytest.mark.parametrize("document", [b"", b"[]", b'"x"', b'{"code": 5}', b'{"code": "rm -rf"}', b"\xff"])
def test_what_is_no_problem_document_has_no_code(document):
    assert problem(document) == ("", "")


# What the gateway has used


@pytest.mark.parametrize(
    ("listener", "url"),
    [
        ({"host": "127.0.0.1"}, "http://127.0.0.1:9090"),
        ({"host": "0.0.0.0", "port": 9000}, "http://127.0.0.1:9000"),
        ({"host": "::", "port": 9000}, "http://[::1]:9000"),
    ],
)
def test_the_admin_listener_is_reached_from_this_machine(listener, url):
    assert url_of(AdminListener(**listener)) == url


def test_a_port_that_the_system_chooses_is_not_known():
    with pytest.raises(CostUnknown, match=r"listeners\.admin\.port is 0"):
        url_of(AdminListener(port=0))


def test_a_process_that_is_not_there_is_told():
    with pytest.raises(CostUnknown, match="no process 999999999"):
        processor_seconds(999_999_999)

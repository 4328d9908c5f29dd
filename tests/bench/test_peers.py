"""The comparison counts what it says it counts, and times nothing that does not do what it is timed for."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import jwt
import pytest

from bench.figures.bars import Bar, Bars
from bench.peers import machine, served, wrk
from bench.peers.credentials import AUDIENCE, ISSUER, Keys, tampered
from bench.peers.neighbour import Disturbed, Noticed
from bench.peers.peers import BY_NAME, DIRECT, PEERS, TENANTGATE, Refusal
from bench.peers.programs import find
from bench.peers.report import Result
from bench.peers.requests import Requests
from bench.peers.rounds import Conditions, Measured, fault_of, measure
from bench.peers.sample import Range, Sample, of_row, ratio
from bench.peers.stack import running
from bench.peers.tables import MAIN, TABLES, Row, Table
from bench.peers.targets import PROCESSOR, Target, added_latency
from bench.peers.tenants import Customer

SAMPLE = Sample(cpu=40e-6, store=5e-6, rate=20_000, p50=0.003, p99=0.008, memory=50 << 20)
TOLD = wrk.Told(answers=1000, refused=0, failed=0, seconds=2.0, p50=0.003, p99=0.008, bytes=1_200_000)
CALM = Conditions(steal=0.01, loop=0.013)
ROW = Row("tenantgate", "tenantgate")


def cpu(sample: Sample) -> float:
    return sample.cpu


def costing(micros: float) -> Sample:
    return replace(SAMPLE, cpu=micros * 1e-6)


# What wrk says


def test_of_wrks_output_the_line_of_the_script_is_read():
    output = (
        "Running 2s test @ http://127.0.0.1:1\n  Thread Stats   Avg\n"
        'RESULT {"answers": 200, "refused": 3, "failed": 1, "microseconds": 2000000, "p50": 1500, "p99": 9000, "bytes": 7}\n'
    )
    told = wrk.Told.read(output)
    assert told == wrk.Told(answers=200, refused=3, failed=1, seconds=2.0, p50=0.0015, p99=0.009, bytes=7)


def test_output_without_a_result_is_told_as_it_is():
    with pytest.raises(wrk.NoResult, match="unable to connect"):
        wrk.Told.read("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    ("row", "told", "hits", "fault"),
    [
        (ROW, TOLD, 1000, None),
        (ROW, TOLD, 1063, None),
        (ROW, replace(TOLD, answers=0), 0, "0 answers"),
        (ROW, replace(TOLD, refused=1), 1000, "1 were refusals"),
        (ROW, replace(TOLD, failed=2), 1000, "2 connections or requests failed"),
        (ROW, TOLD, 999, "999 requests have reached the upstream"),
        (replace(ROW, hits=2), TOLD, 1999, "1999 requests have reached"),
        (replace(ROW, answer=64 << 10), TOLD, 1000, "1200000 bytes came"),
    ],
)
def test_a_run_is_none_where_answers_were_refusals_or_came_from_elsewhere_or_short(row, told, hits, fault):
    found = fault_of(row, told, hits)
    assert found is None if fault is None else fault in found


# Ratios


def test_a_ratio_is_taken_within_each_round():
    # The second round was twice as slow for both: the ratio is the same in both, though no row's times are.
    rounds = [{"ours": costing(40), "theirs": costing(80)}, {"ours": costing(90), "theirs": costing(160)}]
    assert ratio(rounds, "ours", "theirs", cpu) == Range(0.53125, 0.5, 0.5625)


def test_a_row_that_is_missing_from_a_round_has_neither_value_nor_ratio():
    rounds = [{"ours": costing(40), "theirs": costing(80)}, {"ours": costing(40)}]
    assert of_row(rounds, "ours", cpu) == Range.of([costing(40).cpu])
    assert of_row(rounds, "theirs", cpu) is None
    assert ratio(rounds, "ours", "theirs", cpu) is None
    assert ratio([], "ours", "theirs", cpu) is None


@pytest.mark.parametrize(("reached", "verdict"), [(0.35, "aim"), (0.36, "met"), (0.6, "met"), (0.61, "missed")])
def test_a_target_is_missed_above_what_must_be(reached, verdict):
    assert Target(0.6, 0.35).verdict(reached) == verdict


def test_added_latency_is_what_a_proxy_takes_beyond_no_proxy():
    times = {"direct, 1": 0.0001, "tenantgate, 1": 0.0004, "haproxy-hs256, 1": 0.0002}
    rounds = [{name: replace(SAMPLE, p50=p50) for name, p50 in times.items()}]
    assert added_latency(rounds).median == pytest.approx(3.0)
    assert added_latency([{"tenantgate, 1": SAMPLE}]) is None


# The page and the file


DISTURBED = Disturbed([Noticed(0.002, 0.003, 500, 50)])


def result(failed: dict[str, str] | None = None, skipped: dict[str, str] | None = None, other=DISTURBED) -> Result:
    times = {"tenantgate": 40, "nginx-lua-cached": 80, "tenantgate, RS256": 44, "haproxy-rs256": 88}
    rounds = [{name: costing(micros) for name, micros in times.items()}] * 3
    main = Measured(MAIN, rounds, [CALM] * 3, failed or {})
    return Result("A machine.", {"main": main}, other, skipped or {})


def test_the_file_has_a_ratio_for_each_peer_that_was_measured():
    told = json.loads(json.dumps(result().json()))
    assert told["ratios"] == {"nginx-lua-cached": pytest.approx(0.5), "haproxy-rs256": pytest.approx(0.5)}
    assert told["ranges"]["nginx-lua-cached"] == pytest.approx([0.5, 0.5])
    assert len(told["tables"]["main"]["rounds"]) == 3


def test_the_names_of_the_ratios_are_fixed():
    names = ["nginx-lua-cached", "nginx-lua", "envoy", "traefik", "haproxy-hs256", "haproxy-rs256", "handwritten"]
    assert list(PROCESSOR) == names
    assert set(names) <= {row.name for row in MAIN.rows}


def test_the_page_shows_figures_with_their_range_and_targets_with_what_was_reached():
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in result().page().splitlines() if "|" in line]
    assert lines[2][:5] == ["tenantgate", "40 [40–40]", "5 [5–5]", "20,000 [20,000–20,000]", "3.00 [3.00–3.00]"]
    targets = {line[0]: line[1:] for line in lines if len(line) == 5}
    assert targets["nginx-lua-cached"] == ["0.500 [0.500–0.500]", "≤ 0.6", "≤ 0.35", "met"]
    assert targets["envoy"] == ["not measured", "≤ 0.4", "≤ 0.25", ""]
    assert targets["p99 beside a tenant at ten times its limit ÷ alone"][0] == "1.500 [1.500–1.500]"


def test_what_was_not_measured_is_named_with_the_reason():
    failed, skipped = {"envoy": "a tampered credential got 200"}, {"traefik": "not installed: traefik"}
    page = result(failed, skipped, Disturbed([], "round 1: the other could ask only 99 times a second")).page()
    assert "Not timed: envoy: a tampered credential got 200." in page
    assert "Skipped: traefik, not installed: traefik." in page
    assert "Not timed: neighbour: round 1: the other could ask only 99 times a second." in page
    assert "### neighbour" not in page


def test_bars_end_where_their_values_are():
    svg = Bars("a < b", "µs", [Bar("small", 40, 35, 50, marked=True), Bar("large", 4000, 3900, 4100)]).svg()
    widths = [float(node.attrib["width"]) for node in ElementTree.fromstring(svg).iter() if node.attrib.get("height") == "18"]
    # From 10 on, 4,000 is log(400) / log(4) times as far as 40.
    assert widths[1] / widths[0] == pytest.approx(4.322, abs=0.01)


# What is sent


@pytest.fixture
def requests(tmp_path) -> Requests:
    numbers = range(10_000)
    customers = [Customer(f"tenant-{number}", f"id-{number}", f"sk_{number}", f"key-{number}") for number in numbers]
    return Requests(tmp_path, Keys(), customers)


def sent(path) -> list[dict[str, str]]:
    return [dict(field.split(": ", 1) for field in line.split("\t")) for line in path.read_text().splitlines()]


def test_a_thousand_tokens_of_two_hundred_tenants_take_turns(requests):
    listed = sent(requests.repeated("hs256", "/x", tenants=200))
    assert len({headers["Authorization"] for headers in listed}) == len(listed) == 1000
    assert len({headers["X-Tenant"] for headers in listed}) == 200
    assert all(before["X-Tenant"] != after["X-Tenant"] for before, after in pairwise(listed))
    claims = jwt.decode(
        listed[7]["Authorization"][7:], requests.keys.secret, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER
    )
    assert (claims["tenant"], listed[7]["X-Tenant"]) == ("tenant-7", "tenant-7")


def test_ten_thousand_tenants_have_a_token_each(requests):
    listed = sent(requests.repeated("hs256", "/x", tenants=10_000))
    assert len({headers["X-Tenant"] for headers in listed}) == len(listed) == 10_000


@pytest.mark.parametrize(("kind", "field"), [("distinct", "Authorization"), ("hmac", "X-Nonce")])
def test_what_is_good_for_one_use_is_new_in_every_list(requests, kind, field):
    lists = [sent(requests.once(kind, "/x", tenants=200, length=300)) for _ in range(2)]
    assert len({headers[field] for listed in lists for headers in listed}) == 600


@pytest.mark.parametrize("make", [Keys.hs256, Keys.rs256])
def test_a_tampered_token_differs_in_its_signature_alone(make):
    token = make(Keys(), "tenant-1", "user-1")
    other = tampered(token)
    assert token.rsplit(".", 1)[0] == other.rsplit(".", 1)[0]
    assert len(token) == len(other)
    assert token != other


# The machine


def test_steal_is_the_eighth_of_the_processors_times():
    assert machine.steal("cpu  10 20 30 40 50 60 70 800 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n") * machine._TICKS == 800


CHILD = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
PARENT = """
import socket, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
socket.create_server(("127.0.0.1", int(sys.argv[2]))).accept()
child.wait()
"""


def test_processor_time_of_a_process_includes_its_childs(tmp_path):
    port, core = served.free_port(), machine.Cores.of_this_machine().proxy
    process = served.run("parent", [sys.executable, "-c", PARENT, CHILD, str(port)], tmp_path, port, core)
    try:
        # Read in steps of 10 ms, in user mode and in the kernel; the parent itself has used a tenth of it.
        assert process.seconds() >= 0.25
    finally:
        process.stop()


# Peers

VALUES = ("DIR", "CONFIGS", "MODULES", "USER", "KIB", "SECRET", "ENCRYPTION_KEY", "STORE", "UPSTREAM", "NAME", "PORT", "CONFIG")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_everything_in_a_peers_templates_is_filled_in(peer):
    values = {**dict.fromkeys(VALUES, "1"), **peer.values}
    for text in [*peer.command, *peer.environ.values(), *((served.CONFIGS / name).read_text() for name in peer.files)]:
        assert "@PORT@" not in served.render(text, values)


def test_every_row_names_a_peer_and_no_two_rows_of_a_table_have_one_name():
    for table in TABLES:
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        assert {row.peer for row in table.rows} <= {*BY_NAME, DIRECT}


@pytest.mark.skipif(find("wrk") is None or find("nginx") is None, reason="wrk and nginx are installed by scripts/peers")
def test_what_is_not_installed_or_lets_pass_what_it_must_refuse_is_not_timed_and_others_are(monkeypatch):
    careless = replace(BY_NAME["nginx"], name="careless", refuses=frozenset({Refusal.MISSING, Refusal.TAMPERED}))
    monkeypatch.setitem(BY_NAME, "careless", careless)
    absent = replace(careless, name="absent", needs=("no-such-proxy",))
    table = Table("tiny", "", [Row(name, name, connections=4) for name in ("tenantgate", "handwritten", "careless", "absent")])
    with running([TENANTGATE, BY_NAME["handwritten"], careless, absent], tenants=200) as stack:
        measured = measure(stack, table, rounds=1, seconds=1, tell=print)
    assert set(measured.rounds[0]) == {"tenantgate", "handwritten"}
    assert stack.skipped == {"absent": "not installed: no-such-proxy"}
    assert set(measured.failed) == {"careless"}
    assert "a request without a credential got 200, and 1 reached the upstream" in measured.failed["careless"]
    assert all(0 < sample.cpu < 1 and sample.p50 <= sample.p99 for sample in measured.rounds[0].values())

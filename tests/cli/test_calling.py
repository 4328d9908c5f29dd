"""What the commands that call a gateway say, and what they never take."""

from __future__ import annotations

import json

import httpx
import pytest
from typer.testing import CliRunner

from gateway import client as package
from gateway.cli import app
from gateway.client import Client

TENANT = {"id": "tnt_1", "slug": "acme", "name": "[b]Acme[/b]", "status": "active", "plan": "free", "external_ref": None}
runner = CliRunner()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Response]:
    """What the gateway answers, in turn."""
    waiting: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-api-key"] == "tg_live_x"
        return waiting.pop(0)

    monkeypatch.setattr(package, "Client", lambda url, key: Client(url, key, transport=httpx.MockTransport(answer)))
    monkeypatch.setenv("TENANTGATE_KEY", "tg_live_x")
    return waiting


def test_a_table_shows_values_as_they_are(answers: list[httpx.Response]) -> None:
    answers.append(httpx.Response(200, json={"data": [TENANT], "next_cursor": None}))
    done = runner.invoke(app, ["tenants", "list"])
    assert (done.exit_code, "[b]Acme[/b]" in done.output) == (0, True), done.output


def test_programs_get_a_line_of_json_for_each(answers: list[httpx.Response]) -> None:
    answers.append(httpx.Response(200, json={"data": [TENANT, TENANT], "next_cursor": None}))
    done = runner.invoke(app, ["tenants", "list", "-o", "json"])
    assert [json.loads(line) for line in done.output.splitlines()] == [TENANT, TENANT]


def test_a_list_is_no_longer_than_asked_for(answers: list[httpx.Response]) -> None:
    answers.append(httpx.Response(200, json={"data": [TENANT, TENANT], "next_cursor": "more"}))
    done = runner.invoke(app, ["tenants", "list", "--limit", "2", "-o", "json"])
    assert len(done.output.splitlines()) == 2


def test_a_refusal_is_told_with_its_faults_and_its_request(answers: list[httpx.Response]) -> None:
    fault = {"field": "plan", "message": "must be one of: free"}
    document = {"code": "INVALID_BODY", "detail": "Invalid input.", "errors": [fault]}
    answers.append(httpx.Response(422, json=document, headers={"X-Request-Id": "abc"}))
    done = runner.invoke(app, ["tenants", "create", "Acme", "--plan", "gold"])
    assert done.exit_code == 1
    assert "INVALID_BODY: Invalid input.\n  plan: must be one of: free\n  request abc" in done.output


def test_without_a_key_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENANTGATE_KEY", raising=False)
    done = runner.invoke(app, ["tenants", "list"])
    assert (done.exit_code, "TENANTGATE_KEY" in done.output) == (2, True)

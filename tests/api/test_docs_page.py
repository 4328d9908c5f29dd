"""The readable page says what the document says, needs nothing else, and lets nothing of the document become markup."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx
import pytest

from gateway.api.apis import operator_document
from gateway.api.docs_page import page_of
from gateway.api.operator.catalogue import operator_endpoints
from tests.api.public import Platform
from tests.api.samples import Operator, parts_of
from tests.registry.samples import Registry


class Page(HTMLParser):
    """Tags, the text, and places within the page: those that are linked to, and those that there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(params=["operator", "platform"])
async def served(
    request: pytest.FixtureRequest, operator: Operator, platform: Platform
) -> tuple[httpx.Response, httpx.Response]:
    """A page, and the document that it is made of."""
    http = operator.http if request.param == "operator" else platform.root
    return await http.get("/docs", headers={"X-Admin-Key": "", "X-Api-Key": ""}), await http.get("/openapi.json")


async def test_the_page_tells_every_call_parameter_field_and_code(served: tuple[httpx.Response, httpx.Response]) -> None:
    page, document = Page(served[0].text), served[1].json()
    assert page.open == []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {path}" in page.text
            assert operation["summary"] in page.text
            for parameter in operation["parameters"]:
                assert parameter["name"] in page.text
    for schema in document["components"]["schemas"].values():
        if "enum" in schema:
            assert [value for value in schema["enum"] if value not in page.text] == []
    assert "IDEMPOTENCY_KEY_REUSED" in page.text


async def test_the_page_needs_no_network_and_no_script(served: tuple[httpx.Response, httpx.Response]) -> None:
    answer, _ = served
    page = Page(answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")
    assert "script" not in page.tags
    assert page.links
    assert {link[0] for link in page.links} == {"#"}
    assert {link[1:] for link in page.links} == {*page.ids}
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_what_a_document_says_is_text_and_never_markup(registry: Registry) -> None:
    evil = "<script>alert(1)</script>\"'&"
    document = operator_document(operator_endpoints(parts_of(registry)))

    def poisoned(value: object) -> object:
        if isinstance(value, dict):
            return {name: poisoned(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [poisoned(one) for one in value]
        return value + evil if isinstance(value, str) and value.count(" ") > 1 else value

    changed = poisoned(document)
    assert isinstance(changed, dict)
    page = Page(page_of(changed))
    assert "script" not in page.tags
    assert evil in page.text

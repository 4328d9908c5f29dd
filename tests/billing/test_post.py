"""Use on its way to who bills it: in the receiver's form, each unit once, however often it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from gateway.billing.cloudevents import cloud_event
from gateway.billing.format import Format
from gateway.billing.post import NotTaken, post
from gateway.billing.stripe import meter_event
from gateway.billing.use import Use
from tests.billing.biller import Biller, serving
from tests.samples import ACME

USE = Use("main", ACME.id, "cus_123", "emails", date(2026, 4, 30), 10, 35)
FORMS = pytest.mark.parametrize("form", Format)


@pytest.fixture
def biller() -> Iterator[Biller]:
    with serving() as biller:
        yield biller


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as http:
        yield http


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def posted(http: httpx.Client, biller: Biller, form: Format, *uses: Use, pauses: Pauses | None = None) -> list[Use]:
    waits = Pauses() if pauses is None else pauses
    return [use for some in post(http, biller.url, form, uses, waits) for use in some]


def test_a_meter_event_is_what_stripe_asks_for() -> None:
    event = meter_event(USE)
    assert event == {
        "event_name": "emails",
        "identifier": USE.id,
        "timestamp": 1777593599,
        "payload": {"stripe_customer_id": "cus_123", "value": "25"},
    }
    assert len(USE.id) <= 100
    with pytest.raises(ValueError, match="no stripe_customer_id"):
        meter_event(replace(USE, customer=None))


def test_a_cloud_event_has_the_attributes_of_the_specification() -> None:
    event = cloud_event(replace(USE, customer=None))
    assert {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"} == event.keys()
    assert (event["id"], event["source"], event["time"]) == (USE.id, "/orgs/main", "2026-04-30T23:59:59Z")
    assert event["data"] == {
        "org": "main",
        "tenant_id": ACME.typeid,
        "stripe_customer_id": None,
        "metric": "emails",
        "day": "2026-04-30",
        "units": 25,
    }


@pytest.mark.parametrize(
    "other",
    [{"org": "o"}, {"metric": "sms"}, {"day": date(2026, 4, 29)}, {"start": 9}, {"end": 36}],
)
def test_other_units_have_another_id(other: dict[str, Any]) -> None:
    assert replace(USE, **other).id != USE.id
    assert replace(USE, customer="cus_other").id == USE.id


@FORMS
def test_what_was_sent_before_is_taken_for_what_it_is(form: Format, http: httpx.Client, biller: Biller) -> None:
    other = replace(USE, metric="sms")
    assert posted(http, biller, form, USE, other) == [USE, other]
    assert posted(http, biller, form, USE, other) == [USE, other]
    assert (biller.units, biller.duplicates) == (50, 2)


@FORMS
def test_an_event_whose_answer_is_lost_is_sent_again_and_counts_once(form: Format, http: httpx.Client, biller: Biller) -> None:
    biller.statuses, biller.takes = [500, 429], True
    pauses = Pauses()
    assert posted(http, biller, form, USE, pauses=pauses) == [USE]
    assert (biller.units, biller.duplicates, pauses) == (25, 2, [1.0, 2.0])


@FORMS
def test_what_the_receiver_refuses_is_told_and_not_tried_again(form: Format, http: httpx.Client, biller: Biller) -> None:
    biller.statuses = [422]
    pauses = Pauses()
    with pytest.raises(NotTaken, match="status 422"):
        posted(http, biller, form, USE, pauses=pauses)
    assert (biller.events, pauses) == ({}, [])


@FORMS
def test_who_does_not_answer_is_given_up_after_a_while(form: Format, http: httpx.Client, biller: Biller) -> None:
    biller.statuses = [503] * 9
    pauses = Pauses()
    with pytest.raises(NotTaken, match="status 503"):
        posted(http, biller, form, USE, pauses=pauses)
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    biller.url = "http://127.0.0.1:9/?token=canary"
    with pytest.raises(NotTaken, match="no answer") as told:
        posted(http, biller, form, USE)
    assert "canary" not in str(told.value)


def test_what_has_arrived_is_told_although_the_next_one_is_refused(http: httpx.Client, biller: Biller) -> None:
    arrived: list[Use] = []
    other = replace(USE, metric="sms")
    sending = post(http, biller.url, Format.STRIPE, [USE, other], Pauses())
    arrived += next(sending)
    biller.statuses = [400]
    with pytest.raises(NotTaken):
        next(sending)
    assert arrived == [USE]


def test_cloud_events_go_by_a_hundred(http: httpx.Client, biller: Biller) -> None:
    uses = [replace(USE, end=USE.start + number) for number in range(1, 251)]
    sizes = [len(some) for some in post(http, biller.url, Format.CLOUDEVENTS, uses, Pauses())]
    assert (sizes, len(biller.events)) == ([100, 100, 50], 250)

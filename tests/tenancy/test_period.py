from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tenancy.period import period_end, period_of


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("at", "period"),
    [
        ("2026-04-01T00:00:00+00:00", "2026-04"),
        ("2026-04-30T23:59:59.999+00:00", "2026-04"),
        ("2026-05-01T00:00:00+00:00", "2026-05"),
        ("2026-05-01T00:30:00+02:00", "2026-04"),
        ("2026-04-30T22:00:00-03:00", "2026-05"),
        ("2024-02-29T12:00:00+00:00", "2024-02"),
        ("2025-12-31T23:59:59+00:00", "2025-12"),
    ],
)
def test_a_period_is_a_calendar_month_in_utc(at, period):
    assert period_of(instant(at)) == period


def test_a_period_ends_where_the_next_begins():
    assert period_end("2026-04") == instant("2026-05-01T00:00:00+00:00")
    assert period_end("2025-12") == instant("2026-01-01T00:00:00+00:00")
    assert period_end("2024-02") == instant("2024-03-01T00:00:00+00:00")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2999, 12, 31), timezones=st.just(UTC)))
def test_every_instant_is_in_exactly_one_period(moment):
    at = moment.timestamp()
    period = period_of(at)
    assert at < period_end(period)
    assert period_of(period_end(period)) > period


@pytest.mark.parametrize("text", ["", "2026", "2026-4", "2026-00", "2026-13", "26-04", "2026-04-01", "2026-04\n", "٢026-04"])
def test_anything_else_is_no_period(text):
    with pytest.raises(ValueError, match="not a period"):
        period_end(text)

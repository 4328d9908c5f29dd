"""Use on its way to who bills it, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence

import httpx

from .cloudevents import BATCH, cloud_event
from .format import Format
from .stripe import form_of, meter_event
from .use import Use

_BATCH = 100
_ATTEMPTS, _PAUSE = 5, 1.0
_DUPLICATE = "duplicate_meter_event"


class NotTaken(Exception):
    """The receiver does not take an event, or does not answer."""


def post(
    http: httpx.Client, url: str, form: Format, uses: Sequence[Use], pause: Callable[[float], None] = time.sleep
) -> Iterator[Sequence[Use]]:
    """Send them, and give those that have arrived, as soon as they have. Meter events go one by one, CloudEvents by a hundred.

    Raises NotTaken.
    """
    if form is Format.STRIPE:
        for use in uses:
            event = meter_event(use)
            headers = {"Idempotency-Key": use.id}
            _send(http, http.build_request("POST", url, data=dict(form_of(event)), headers=headers), pause)
            yield [use]
        return
    for start in range(0, len(uses), _BATCH):
        batch = uses[start : start + _BATCH]
        content = json.dumps([cloud_event(use) for use in batch], ensure_ascii=False).encode()
        _send(http, http.build_request("POST", url, content=content, headers={"Content-Type": BATCH}), pause)
        yield batch


def _send(http: httpx.Client, request: httpx.Request, pause: Callable[[float], None]) -> None:
    """An event that is known there already has arrived. What may pass is tried again."""
    told = "no answer"
    for attempt in range(_ATTEMPTS):
        if attempt:
            pause(_PAUSE * 2 ** (attempt - 1))
        try:
            answer = http.send(request)
        except httpx.TransportError as error:
            told = f"no answer: {error or type(error).__name__}"
            continue
        if answer.is_success or _is_known(answer):
            return
        told = f"status {answer.status_code}: {answer.text[:200]}"
        if answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            break
    raise NotTaken(f"{request.url.copy_with(query=None)}: {told}")


def _is_known(answer: httpx.Response) -> bool:
    if answer.status_code == httpx.codes.CONFLICT:
        return True
    try:
        return answer.status_code == httpx.codes.BAD_REQUEST and answer.json()["error"]["code"] == _DUPLICATE
    except (ValueError, KeyError, TypeError):
        return False

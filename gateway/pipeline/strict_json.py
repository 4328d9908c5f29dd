"""JSON of strangers, read strictly (RFC 8259): where two readers could see two values, it is refused."""

from __future__ import annotations

import json

from gateway.errors import BAD_REQUEST, Refused


def parse_json(content: bytes) -> object:
    """The value that `content` holds, in UTF-8. Raises Refused(BAD_REQUEST)."""
    try:
        parsed: object = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        # A lone surrogate is JSON, but no text: it could be neither stored nor answered.
        json.dumps(parsed, ensure_ascii=False).encode()
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise Refused(BAD_REQUEST, f"The body is not JSON: {fault.msg} at {where}.") from None
    except UnicodeError:
        raise Refused(BAD_REQUEST, "The body is not JSON in UTF-8.") from None
    except _NotStrict as fault:
        raise Refused(BAD_REQUEST, f"The body is not strict JSON: {fault}.") from None
    except (ValueError, RecursionError):
        raise Refused(BAD_REQUEST, "The body is not JSON that can be read: too deep, or a number too long.") from None
    return parsed


class _NotStrict(Exception):
    """What Python reads and RFC 8259 leaves open or forbids."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrict("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise _NotStrict(f"{name} is no JSON value")

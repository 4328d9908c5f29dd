"""The head of a request, read once and strictly (RFC 9112, 2 to 6): what could be understood in two ways is refused.

Nothing here is repaired. What the fields mean, and whether they are welcome, is the business of `hygiene`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import BAD_REQUEST, HEADERS_TOO_LARGE, Refused
from gateway.pipeline.grammar import PLAIN_LINES

from .hygiene import MAX_HEADERS, check_framing

Fields = tuple[tuple[bytes, bytes], ...]

_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}")
_BEGINNING = re.compile(rb"(?:[A-Z][A-Z-]{0,31}(?: |\Z)|\Z)")
_FRAMING = frozenset({b"connection", b"content-length", b"expect", b"transfer-encoding", b"upgrade"})


@dataclass(slots=True)
class Head:
    """`fields` are in order, names in lower case. `length` is that of the body in bytes, None where it comes in chunks.

    `persistent`: the client would send another request after this one. `continues`: it waits to be told before it sends the
    body. `to_websocket`: it asks for that upgrade; any other is ignored (RFC 9110, 7.8). `fault`: the message is broken;
    nothing else is certain then.
    """

    method: str = "GET"
    target: bytes = b"/"
    fields: Fields = ()
    length: int | None = 0
    current: bool = True
    persistent: bool = False
    continues: bool = False
    to_websocket: bool = False
    fault: Refused | None = field(default=None, compare=False)


def broken(detail: str) -> Head:
    return Head(fault=Refused(BAD_REQUEST, detail))


def read_line(line: bytes) -> Head:
    """`line` is the first one (RFC 9112, 3); of the head it tells what stands there."""
    words = line.split(b" ")
    if len(words) != 3 or _METHOD.fullmatch(words[0]) is None or not words[1]:
        return broken("A request begins with method, target and version, with one space between them.")
    head = Head(words[0].decode("ascii"), words[1])
    if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        head.fault = Refused(BAD_REQUEST, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    head.current = head.persistent = words[2] == b"HTTP/1.1"
    return head


def can_begin(line: bytes) -> bool:
    """Whether a first line may begin so."""
    return _BEGINNING.match(line) is not None


def read_head(block: bytes) -> Head:
    """`block` is a head without the empty line that ends it."""
    lines = block.split(b"\r\n")
    breaks = len(lines) - 1
    if block.count(b"\r") != breaks or block.count(b"\n") != breaks or block.translate(None, PLAIN_LINES):
        return broken("The head holds a control character, or a line that does not end in CR LF.")
    head = read_line(lines[0])
    if head.fault is not None:
        return head
    if breaks > MAX_HEADERS:
        head.fault = Refused(HEADERS_TOO_LARGE, f"At most {MAX_HEADERS} headers are accepted.")
        return head
    fields, framing = [], False
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            head.fault = Refused(BAD_REQUEST, "A header has a name and a colon, and is not folded.")
            return head
        name = name.lower()
        framing = framing or name in _FRAMING
        fields.append((name, value.strip(b" \t")))
    head.fields = tuple(fields)
    if framing:
        _frame(head)
    return head


def value_spans(block: bytes) -> Sequence[slice]:
    """Where in the `block` of a good head the values of its fields stand."""
    spans, at = [], block.find(b"\r\n") + 2
    while at > 1:
        end = block.find(b"\r\n", at)
        line = block[at : end if end >= 0 else len(block)]
        value = line.partition(b":")[2]
        start = at + len(line) - len(value.lstrip(b" \t"))
        spans.append(slice(start, start + len(value.strip(b" \t"))))
        at = end + 2
    return spans


def _frame(head: Head) -> None:
    try:
        head.length = check_framing(head.fields)
    except Refused as refused:
        head.fault = refused
        return
    # RFC 9112, 6.1: such a message may have been framed by one who didn't know the coding.
    if head.length is None and not head.current:
        head.fault = Refused(BAD_REQUEST, "Transfer-Encoding does not exist in HTTP/1.0.")
    for name, value in head.fields:
        if name == b"connection":
            options = [option.strip() for option in value.lower().split(b",")]
            head.persistent = head.persistent and b"close" not in options
            if b"upgrade" in options:
                head.to_websocket = _asks_for_websocket(head.fields)
        elif name == b"expect":
            head.continues = head.current and value.lower() == b"100-continue"


def _asks_for_websocket(fields: Fields) -> bool:
    asked = [value.lower().split(b",") for name, value in fields if name == b"upgrade"]
    return any(protocol.strip() == b"websocket" for value in asked for protocol in value)

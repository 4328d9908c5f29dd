"""YAML text to plain data, strictly: what is unclear to a reader, or unsafe to read, is a fault."""

from __future__ import annotations

import re
from typing import NoReturn

from yaml import SafeLoader
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from .document import Document
from .fault import Fault, Faults, KeyPath, Place
from .scalars import Trap, scalar

MAX_BYTES = 1 << 20
_MAX_NODES = 100_000
_MAX_DEPTH = 32
# What a message of PyYAML quotes from the file: names of anchors and tags, which may be a secret that was not quoted.
_QUOTED = re.compile(r" '(?!<)[^']{2,}'")


def decode(raw: bytes, file: str) -> str:
    """Raises Faults where `raw` is too long or not UTF-8."""
    if len(raw) > MAX_BYTES:
        _fail(Place(file, 1, 1), "more than 1 MiB", "a smaller file")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_of(raw[: error.start].decode("utf-8"), file)
        raise Faults([Fault(place, "a byte that is not UTF-8", "text in UTF-8")]) from None


def read(text: str, file: str, base: KeyPath = (), origin: str | None = None) -> Document:
    """The only document of `text`, whose root is at `base`. Raises Faults where no data can be had from it."""
    document = Document(data=None, root=Place(file, 1, 1))
    if origin is not None:
        document.origins[base] = origin
    node = _compose(text, file)
    if node is None:
        _fail(document.root, "nothing", "a configuration that begins with version: 1")
    document.data = _Walk(document, file).value(node, base, 0)
    return document


class _Loader(SafeLoader):
    """Composes nodes and never constructs anything from them; nesting is bounded before Python's stack is."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > _MAX_DEPTH + 1:
            raise MarkedYAMLError(problem="nested too deep", problem_mark=parent.start_mark if parent else None)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, file: str) -> Node | None:
    try:
        loader = _Loader(text)
        try:
            node: Node | None = loader.get_single_node()
            return node
        finally:
            loader.dispose()
    except ReaderError as error:
        fault = Fault(_place_of(text[: error.position], file), "a control character", "printable text")
    except MarkedYAMLError as error:
        fault = _syntax(error, file)
    raise Faults([fault])


def _syntax(error: MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    place = _place(file, mark) if mark else Place(file, 1, 1)
    problem = error.problem or "broken syntax"
    if "\\t" in problem:
        return Fault(place, "a tab", "spaces", "YAML does not allow tabs for indentation.")
    if "another document" in problem:
        return Fault(place, "a second document", "one document", "Take out the line ---.")
    if "nested too deep" in problem:
        return _too_deep(place)
    return Fault(
        place, f"broken YAML ({_QUOTED.sub('', problem)})", "well-formed YAML", "Text with special characters needs quotes."
    )


class _Walk:
    """From nodes to data. An alias is walked again wherever it stands, so what is counted is what it expands to."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._seen = 0

    def value(self, node: Node, path: KeyPath, depth: int) -> object:
        place = _place(self._file, node.start_mark)
        self._seen += 1
        if self._seen > _MAX_NODES:
            _fail(place, f"more than {_MAX_NODES} values", "a smaller file", "Aliases count as what they stand for.")
        if depth > _MAX_DEPTH:
            raise Faults([_too_deep(place)])
        self._document.places[path] = place
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._document.refuse(path, "a tag", "a value without a tag", "Tags such as !!set are not used in this file.")
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._mapping(node, path, depth)

    def _mapping(self, node: MappingNode, path: KeyPath, depth: int) -> dict[str, object]:
        data: dict[str, object] = {}
        for key_node, value_node in node.value:
            fault = self._key_fault(key_node, path, data)
            if fault is not None:
                # What it holds is left out: a wrong key is no key of the mapping.
                self._document.faults.append(fault)
                continue
            key: str = key_node.value
            self._document.keys[*path, key] = _place(self._file, key_node.start_mark)
            data[key] = self.value(value_node, (*path, key), depth + 1)
        return data

    def _key_fault(self, node: Node, path: KeyPath, present: dict[str, object]) -> Fault | None:
        place = _place(self._file, node.start_mark)
        if not isinstance(node, ScalarNode):
            return Fault(place, "a key that is no text", "a name")
        text: str = node.value
        named = self._document.show_key((*path, text))
        if node.tag == "tag:yaml.org,2002:merge":
            self._document.broken.add(path)
            return Fault(place, "the merge key <<", "the keys themselves", "YAML 1.2 has no merge keys.")
        if node.tag != "tag:yaml.org,2002:str":
            kind = node.tag.rpartition(":")[2]
            hint = f"YAML reads it as {kind}; write it in quotes."
            return Fault(place, f"the key {named} without quotes", "text as a key", hint)
        if text in present:
            first = self._document.keys[*path, text]
            return Fault(place, f"the key {named} again", f"each key once; the first is in line {first.line}")
        return None

    def _scalar(self, node: ScalarNode, path: KeyPath) -> object:
        try:
            return scalar(node)
        except Trap as trap:
            hidden = self._document.is_hidden(path)
            found, hint = ("a value without quotes", "Write it in quotes.") if hidden else (trap.found, trap.hint)
            self._document.refuse(path, found, trap.expected, hint)
            self._document.broken.add(path)
            return node.value


def _too_deep(place: Place) -> Fault:
    return Fault(place, f"more than {_MAX_DEPTH} levels", "a flatter file", "An alias must not stand inside what it names.")


def _place(file: str, mark: Mark) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)


def _place_of(before: str, file: str) -> Place:
    """The place that follows the text `before`."""
    return Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _fail(place: Place, found: str, expected: str, hint: str = "") -> NoReturn:
    raise Faults([Fault(place, found, expected, hint)])

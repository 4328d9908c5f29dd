"""A journal on a real disk: what was appended is there afterwards, whoever dies when."""

from __future__ import annotations

import fcntl
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.ledger.entry import ENTRY_MAX, Entry, Subject, read_line
from gateway.ledger.journal import Journal, JournalFull, NotOurs
from tests.samples import ACME

STORE = "store:6379/0 tg"
SUBJECT = Subject(ACME.id, "main", "key_1", "messages", "2040-05")
ROOMY = 1 << 20
Create = Callable[..., Journal]

DYING = f"""
import os, signal, sys
from pathlib import Path
from gateway.ledger.journal import Journal
from tests.ledger.test_journal import SUBJECT
journal = Journal.create(Path(sys.argv[1]), {STORE!r}, 1 << 20)
for units in range(1, 101):
    journal.append(SUBJECT, units)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Create]:
    made: list[Journal] = []

    def create(limit: int = ROOMY, store: str = STORE) -> Journal:
        made.append(Journal.create(tmp_path, store, limit))
        return made[-1]

    yield create
    for journal in made:
        with suppress(OSError):
            journal.release()


def append_for_ever(journal: Journal) -> None:
    while True:
        journal.append(SUBJECT, 1)


def die(directory: Path) -> None:
    """A worker that is killed when it has appended 1 to 100."""
    dead = subprocess.run([sys.executable, "-c", DYING, str(directory)], check=False)
    assert dead.returncode == -signal.SIGKILL


def units(journal: Journal) -> list[int]:
    return [entry.units for entry, _ in journal.entries()]


def path_of(directory: Path) -> Path:
    (path,) = Journal.paths(directory)
    return path


def test_entries_come_back_as_they_were_and_numbered(create):
    journal = create()
    unnamed = replace(SUBJECT, credential=None)
    journal.append(SUBJECT, 3)
    journal.append(unnamed, -2)
    found = [entry for entry, _ in journal.entries()]
    assert [(entry.number, entry.subject, entry.units) for entry in found] == [(1, SUBJECT, 3), (2, unnamed, -2)]
    assert journal.waiting == 2


def test_more_than_is_read_at_once_comes_back_whole(create):
    journal = create(limit=8 << 20)
    for number in range(2000):
        journal.append(SUBJECT, number)
    assert units(journal) == list(range(2000))
    assert len({end for _, end in journal.entries()}) == 2000


def test_what_is_done_does_not_come_again_and_the_room_is_there_again(create, tmp_path):
    journal = create()
    empty = path_of(tmp_path).stat().st_size
    for number in (1, 2, 3):
        journal.append(SUBJECT, number)
    (_, second), (_, last) = list(journal.entries())[1:]
    journal.done(second, 2)
    assert (units(journal), journal.waiting) == ([3], 1)
    journal.done(last, 1)
    assert (units(journal), journal.waiting, path_of(tmp_path).stat().st_size) == ([], 0, empty)
    journal.append(SUBJECT, 4)
    assert [entry.number for entry, _ in journal.entries()] == [4]


def test_only_the_owner_may_read_it(create, tmp_path):
    create()
    assert stat.S_IMODE(path_of(tmp_path).stat().st_mode) == 0o600


def test_it_never_grows_over_its_limit(create, tmp_path):
    journal = create(limit=2000)
    with pytest.raises(JournalFull):
        append_for_ever(journal)
    assert path_of(tmp_path).stat().st_size <= 2000
    assert len(units(journal)) == journal.waiting > 5


def test_room_that_is_reserved_is_nobody_elses(create):
    journal = create(limit=6 * ENTRY_MAX)
    assert journal.has_room(5)
    journal.reserve(5)
    assert not journal.has_room()
    journal.reserve(-2)
    assert journal.has_room(2)
    assert not journal.has_room(3)


def test_no_entry_takes_more_than_is_reserved_for_it(create, tmp_path):
    journal = create()
    empty = path_of(tmp_path).stat().st_size
    journal.append(Subject(ACME.id, "o" * 63, "k" * 64, "m" * 63, "2040-05", root=True), -(1 << 53))
    assert path_of(tmp_path).stat().st_size - empty <= ENTRY_MAX


def test_a_disk_that_takes_no_more_leaves_no_half_entry(tmp_path):
    """By the size that the system lets a file have: the write stops in the middle of a line."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from gateway.ledger.journal import Journal, JournalFull
from tests.ledger.test_journal import SUBJECT
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.create(Path(sys.argv[1]), {STORE!r}, 1 << 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
written = 0
try:
    while True:
        journal.append(SUBJECT, 1)
        written += 1
except JournalFull:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(SUBJECT, 2)
assert [entry.units for entry, _ in journal.entries()] == [1] * written + [2], "not whole"
assert written > 3
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_a_worker_that_is_killed_leaves_every_entry(tmp_path):
    die(tmp_path)
    journal = Journal.adopt(path_of(tmp_path), STORE)
    assert units(journal) == list(range(1, 101))
    journal.release(remove=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lost", [1, 10, 60])
def test_an_entry_that_was_not_written_whole_is_none(create, tmp_path, lost):
    journal = create()
    for number in (1, 2, 3):
        journal.append(SUBJECT, number)
    journal.release()
    path = path_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    adopted = Journal.adopt(path, STORE)
    assert units(adopted) == [1, 2]
    adopted.release()


def test_an_entry_that_was_damaged_is_told_and_left_out(create, tmp_path, caplog):
    journal = create()
    for number in (11, 22, 33):
        journal.append(SUBJECT, number)
    journal.release()
    path = path_of(tmp_path)
    path.write_bytes(path.read_bytes().replace(b",22]", b",99]"))
    adopted = Journal.adopt(path, STORE)
    assert units(adopted) == [11, 33]
    assert "a damaged entry" in caplog.text
    adopted.release()


def test_a_journal_of_a_worker_that_lives_is_not_taken(create, tmp_path):
    create().append(SUBJECT, 1)
    with pytest.raises(NotOurs) as why:
        Journal.adopt(path_of(tmp_path), STORE)
    assert why.value.in_use


def test_a_journal_is_taken_by_one_only(create, tmp_path):
    create().release()
    first = Journal.adopt(path_of(tmp_path), STORE)
    with pytest.raises(NotOurs):
        Journal.adopt(path_of(tmp_path), STORE)
    first.release()


@pytest.mark.parametrize(("store", "damage"), [("other:6379/0 tg", b""), (STORE, b"damaged ")])
def test_what_is_not_sure_to_be_of_this_store_is_left_alone(create, tmp_path, store, damage):
    journal = create(store=store)
    journal.append(SUBJECT, 1)
    journal.release()
    path = path_of(tmp_path)
    path.write_bytes(damage + path.read_bytes())
    before = path.read_bytes()
    with pytest.raises(NotOurs) as why:
        Journal.adopt(path, STORE)
    assert not why.value.in_use
    assert path.read_bytes() == before


def test_one_that_was_only_just_created_is_nobodys_loss(tmp_path):
    (tmp_path / "a.journal").touch()
    journal = Journal.adopt(tmp_path / "a.journal", STORE)
    assert units(journal) == []
    journal.release(remove=True)


def test_one_that_was_counted_while_it_was_opened_is_not_read(create, tmp_path, monkeypatch):
    create().release()
    path, lock = path_of(tmp_path), fcntl.flock

    def lock_late(descriptor: int, how: int) -> None:
        path.unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(NotOurs):
        Journal.adopt(path, STORE)


@pytest.mark.parametrize("root", [False, True])
def test_an_entry_says_whether_it_is_a_platforms(root: bool) -> None:
    entry = Entry(1, replace(SUBJECT, root=root), 3)
    assert Entry.of(read_line(entry.line())) == entry


@pytest.mark.parametrize("more", [["yes"], [False], [True, True]])
def test_what_says_more_is_no_entry(more: list[object]) -> None:
    fields = read_line(Entry(1, SUBJECT, 3).line())
    assert isinstance(fields, list)
    with pytest.raises(ValueError, match="not an entry"):
        Entry.of([*fields, *more])

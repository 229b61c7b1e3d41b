"""Opening the journal at the start: find damage, keep what was damaged, go on with what is whole.

Nothing is repaired in place. A damaged file is kept under another name; its whole rows make a closed
segment, so the history can still be rebuilt from it; the new current segment begins with every state
that is whole. What was lost is for the exchange to tell: the caller says so, and every start reconciles.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from actors import segment
from actors.files import Files
from actors.inspection import Inspection, Tail, check_tail, inspect, merged, whole_rows
from actors.journal import FileJournal, damage_record, fresh_path, new_installation
from actors.segment import GENESIS, Head
from engine.errors import ConfigError, Problem, StorageError
from engine.keeping import kept_amount
from engine.naming import account_of, named, role_of
from engine.types import Millis

HistoryEnd = Callable[[], int | None]
"""Tells the last journal entry that the history holds, None where it cannot be asked; called only when the
journal cannot tell itself."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The opened journal, and a sentence for each thing that was wrong (empty: all is well).

    `kept_as` are the damaged files under their new names.
    """

    journal: FileJournal
    findings: tuple[str, ...] = ()
    kept_as: tuple[Path, ...] = ()


def open_journal(files: Files, *, now: Millis, segment_mb: int = 16, history_end: HistoryEnd | None = None) -> Opening:
    """Open or create the journal of `files` for writing, with the next run number.

    The caller holds the run lock. Findings are in the journal too, as `JournalDamaged` (ops stream).

    Raises:
        StorageError: it is from a newer version, locked, or its folder cannot be written to.
    """
    try:
        return _open(files, now, segment_mb, history_end)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageError(f"the journal {files.journal} cannot be opened: {error}.") from error


def _open(files: Files, now: Millis, segment_mb: int, history_end: HistoryEnd | None) -> Opening:
    _finish_rotation(files)
    tail = Tail.read(files.tail)
    closed = files.segments()
    if not files.journal.exists():
        if tail is None and not closed and _never_ran(files, history_end):
            return Opening(_first(files, segment_mb))
        found = Inspection(path=files.journal)
        found.problems.append(f"{files.journal.name} is gone, though the bot has run on these files before")
    else:
        found = inspect(files.journal, tail)
        check_tail(found, tail)
    if not found.problems and found.head is not None:
        return Opening(_continue(files, found, found.head, segment_mb))
    return _recover(files, found, tail, now, segment_mb, history_end)


def _never_ran(files: Files, history_end: HistoryEnd | None) -> bool:
    """Whether there is no history either, or one of imports and stored backtests only."""
    if not files.db.exists():
        return True
    others = files.imports() or files.backtests.exists()
    return bool(others) and history_end is not None and history_end() == 0


def _finish_rotation(files: Files) -> None:
    """A crash may have come between the two renames of a rotation, or before them."""
    fresh = fresh_path(files)
    if fresh.exists() and not files.journal.exists():
        segment.move(fresh, files.journal)
    segment.remove(fresh)


def _first(files: Files, segment_mb: int) -> FileJournal:
    head = Head(installation=new_installation(), number=1, first_seq=1, anchor=GENESIS, run=1)
    segment.create(files.journal, head, {})
    return FileJournal(files, head, seq=0, chain=GENESIS, states={}, writers={}, segment_mb=segment_mb)


def _continue(files: Files, found: Inspection, head: Head, segment_mb: int) -> FileJournal:
    return FileJournal(
        files,
        Head(
            installation=head.installation,
            number=head.number,
            first_seq=head.first_seq,
            anchor=head.anchor,
            run=found.run + 1,
            known=head.known,
        ),
        seq=found.last_seq,
        chain=found.last_hash,
        states=found.states,
        writers=found.writers,
        segment_mb=segment_mb,
    )


def _recover(
    files: Files,
    found: Inspection,
    tail: Tail | None,
    now: Millis,
    segment_mb: int,
    history_end: HistoryEnd | None,
) -> Opening:
    findings = tuple(f"{problem}." for problem in found.problems)
    older = _newest_closed(files)
    foreign = tail is not None and found.head is not None and found.head.installation != tail.installation
    number, kept = _keep_aside(files, found, findings)
    whole = merged(older, found) if older is not None and not foreign else found
    last = max(found.last_seq, older.last_seq if older else 0, tail.seq if tail else 0)
    if tail is None and files.db.exists() and history_end is not None:
        last = max(last, history_end() or 0)
    heads = [i.head for i in (found, older) if i is not None and i.head is not None]
    installation = heads[0].installation if heads else (tail.installation if tail else new_installation())
    head = Head(
        installation=installation,
        number=number + 1,
        first_seq=last + 1,
        anchor=found.last_hash,
        run=max(whole.run, tail.run if tail else 0) + 1,
        known=findings,
    )
    segment.create(files.journal, head, whole.states)
    journal = FileJournal(
        files, head, seq=last, chain=head.anchor, states=whole.states, writers=whole.writers, segment_mb=segment_mb
    )
    journal.append([damage_record(journal, now, findings, ", ".join(path.name for path in kept))])
    return Opening(journal, findings, kept)


def _newest_closed(files: Files) -> Inspection | None:
    for path in reversed(files.segments()):
        found = inspect(path)
        if found.head is not None:
            return found
    return None


def _keep_aside(files: Files, found: Inspection, findings: tuple[str, ...]) -> tuple[int, tuple[Path, ...]]:
    """Rename the damaged file and make a closed segment of its whole rows; returns the segment's number."""
    taken = [int(path.stem.rsplit("-", 1)[1]) for path in files.segments()]
    number = max(taken, default=0) + 1
    if not files.journal.exists():
        return number - 1, ()
    kept = next(
        path
        for n in range(1, 1_000_000)
        if not (path := files.journal.with_name(f"{files.journal.name}.damaged-{n}")).exists()
    )
    segment.move(files.journal, kept)
    if found.head is None:
        return number - 1, (kept,)
    head = Head(
        installation=found.head.installation,
        number=number,
        first_seq=found.head.first_seq,
        anchor=found.head.anchor,
        run=found.run,
        known=(*found.head.known, *findings),
    )
    with segment.opened(kept) as connection:
        lost = {**segment_lost(connection), **found.bad}
        segment.create(files.segment(number), head, found.states, whole_rows(connection, found), lost)
    return number, (kept,)


def segment_lost(connection: sqlite3.Connection) -> dict[int, bytes | None]:
    """Rows that an earlier recovery has given up already; none where that table is damaged too."""
    try:
        return segment.read_lost(connection)
    except sqlite3.DatabaseError:
        return {}


def left_pairs(
    journal: FileJournal, pairs: Sequence[str], available: Collection[str], account: str = ""
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An account's pairs that are not configured any more and still hold something; what to say of those nobody can trade."""
    left, findings = [], []
    for pair, amount in held_pairs(journal, account).items():
        if pair in pairs:
            continue
        if pair in available:
            left.append(pair)
        else:
            name = named(pair, account)
            findings.append(f"{name} holds {amount:f} and the exchange does not have it: nobody looks after it.")
    return tuple(left), tuple(findings)


def held_pairs(journal: FileJournal, account: str) -> dict[str, Decimal]:
    """An account's pairs that hold something or have an order out, in the order of their names; and how much."""
    held = {}
    for writer in sorted(journal.writers()):
        kind, _, name = writer.partition(":")
        if kind == "pair" and account_of(name) == account and (state := journal.state(writer)) is not None:
            amount = kept_amount(state)
            if amount is not None:
                held[role_of(name)] = amount
    return held


def traded_before(files: Files, account: str) -> bool:
    """Whether an account has ever traded on these files; one without a name, whether any bot has."""
    if not account or not files.journal.exists():
        return files.journal.exists()
    try:
        with segment.opened(files.journal) as connection:
            return any(account_of(row[0]) == account for row in segment.read_states(connection))
    except sqlite3.DatabaseError:
        return True  # it will be said when it is opened; nothing is taken for new here


def check_left_accounts(journal: FileJournal, accounts: Collection[str]) -> None:
    """Refuse to go on without an account that holds something: without its configuration nobody can look after it.

    Raises:
        ConfigError: a sentence for each such account.
    """
    there = sorted({account_of(writer) for writer in journal.writers() if writer.startswith("pair:")})
    problems = [
        _left(account, held) for account in there if account not in accounts and (held := held_pairs(journal, account))
    ]
    if problems:
        raise ConfigError(problems)


def _left(account: str, held: Mapping[str, Decimal]) -> Problem:
    some = ", ".join(f"{amount:f} of {pair}" for pair, amount in held.items())
    if account:
        why = f"the account {account} is not configured any more, and holds {some}, or has orders out"
    else:
        why = f"this bot has traded on one account without a name, which holds {some}, or has orders out"
    cure = "Put it back until all is sold, or give another --db and look after it yourself"
    return Problem("accounts", "", why, cure)

"""`audit`: is everything that was recorded true? Computed again from the fills, and compared to the last digit.

What is compared
    the journal      the chain of hashes over all segments, and its end against the one noted aside
    the trades       every position, fee and profit, made again from unique fills, against what was recorded
    what is kept     each pair's trade and profit, the portfolio's sums, against the trades made again
    the venue        its own books; each order and fill of ours on both sides, no intent with two orders
    the history      every fill, order, trade and decision in SQL

Nothing is changed, so it may run beside a bot. Then something is always in flight: what differs is looked
at again a moment later, and only what still differs counts. Damage of the journal that was found, said and
recovered from is a note; what it lost is taken from the venue's record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from actors.batch import audit_history, audit_states, audit_venue
from actors.batch.audit_books import BookedTrade, Books
from actors.batch.audit_venue import VenueBooks
from actors.batch.findings import Difference, Findings
from actors.files import Files, lock_holder
from actors.follower import Follower
from actors.inspection import Verification, verify
from engine.errors import StorageError
from engine.types import use_money_context

LOOKS: Final = 6
"""How often what differs is looked at while a bot runs."""

PAUSE_S: Final = 0.7
BATCH: Final = 20_000


Reader = Callable[[Books], VenueBooks]
"""Reads a real exchange's record of the pairs in the books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an audit found. `differences` empty: all records agree."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    entries: int = 0
    trades: int = 0
    orders: int = 0
    fills: int = 0


def audit(files: Files) -> list[Difference]:
    """Every difference between the records of `files`, each a sentence."""
    return list(examine(files).differences)


def examine(files: Files, readers: Mapping[str, Reader] = MappingProxyType({})) -> Report:
    """Compare all records of `files`; see the module's text. `readers` ask the real exchange of an account, by its name."""
    use_money_context()
    try:
        accounts = audit_states.read_kept(files).accounts()
    except StorageError:
        accounts = [""]  # its own account says what is wrong
    reports = [_examined(files, account, accounts, readers.get(account)) for account in accounts]
    return Report(
        differences=tuple(difference for report in reports for difference in report.differences),
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        entries=sum(report.entries for report in reports),
        trades=sum(report.trades for report in reports),
        orders=sum(report.orders for report in reports),
        fills=sum(report.fills for report in reports),
    )


def _examined(files: Files, account: str, accounts: Sequence[str], reader: Reader | None) -> Report:
    """One of the accounts' records compared; what is found is said with its name. The first looks at the whole journal."""
    alone, first = len(accounts) == 1, account == accounts[0]
    auditor = _Auditor(files.of_account(account), account, reader, alone=alone, first=first)
    findings = auditor.look()
    looks = 1
    while findings.differences and lock_holder(files.lock) is not None and looks < LOOKS:
        time.sleep(PAUSE_S)
        again = auditor.look()
        again.keep(findings.differences)
        findings = again
        looks += 1
    ahead = f"{account}: " if account else ""
    counts = tuple(f"{count} {text}" for text, count in findings.counts.items())
    return Report(
        differences=tuple(replace(found, text=f"{ahead}{found.text}") for found in findings.differences.values()),
        notes=(*findings.notes, *counts),
        entries=auditor.books.entries,
        trades=len(auditor.trades),
        orders=sum(len(trade.orders) for trade in auditor.trades.values()),
        fills=sum(len(trade.fills) for trade in auditor.trades.values()),
    )


class _Auditor:
    """One account's audit. The books are kept from look to look: the journal only grows."""

    def __init__(self, files: Files, account: str, reader: Reader | None, *, alone: bool, first: bool) -> None:
        self.files = files
        self._reader = reader
        self._alone = alone
        self._first = first
        self.books = Books(account)
        self.trades: dict[str, BookedTrade] = {}
        self._follower = Follower(files)
        self._chain: Verification | None = None

    def look(self) -> Findings:
        """Compare everything once. The journal is read before what it must not be ahead of."""
        findings = Findings()
        running = lock_holder(self.files.lock) is not None
        if self._first:
            self._check_chain(findings)
        kept = self._read(findings)
        installation = self._follower.installation() or ""
        venue = self._read_venue(findings)
        self._settle(venue, installation, findings)
        if kept is not None:
            audit_states.check_states(self.books, self.trades, kept, findings)
        if venue is not None:
            audit_venue.check_books(venue, findings)
            held = audit_states.kept_held(kept)
            there = {name: trade for name, trade in self.trades.items() if trade.pair not in venue.gone}
            audit_venue.compare(self.books, there, venue, installation, findings, held)
            if venue.gone:
                pairs = ", ".join(venue.gone)
                findings.note(f"{venue.name} does not have {pairs} any more: what was traded there cannot be compared.")
        audit_history.check_history(self.files, self.books, self.trades, findings, running=running, alone=self._alone)
        if not running and not self.books.ended_in_order and self.books.entries:
            findings.note("The last run did not end in order; what was in flight is taken up by the next start.")
        return findings

    def _check_chain(self, findings: Findings) -> None:
        """Read the whole journal for its chain; once it is whole it is not read again for another look."""
        found = self._chain
        if found is None or found.problems:
            try:
                self._chain = found = verify(self.files)
            except StorageError as error:
                findings.differ("journal", self.files.journal.name, str(error))
                return
        for problem in found.problems:
            findings.differ("journal", problem.partition(":")[0], f"{problem}.")
        for known in found.known:
            findings.note(f"Damage that was recovered from: {known}")

    def _read(self, findings: Findings) -> audit_states.KeptStates | None:
        """Read on up to the moment of the states; None when those cannot be read."""
        books = self.books
        kept = None
        try:
            kept = audit_states.read_kept(self.files).of(books.account)
            while books.end < kept.seq:
                rows = self._follower.read(books.end, BATCH)
                if not rows:
                    break
                books.read(row for row in rows if row[0] <= kept.seq)
        except StorageError as error:
            findings.differ("journal", self.files.journal.name, str(error))
        return kept

    def _read_venue(self, findings: Findings) -> VenueBooks | None:
        path = self.files.venue
        if self._reader is not None:
            return self._reader(self.books)
        if not path.exists():
            if self.books.mode == "live":
                findings.note("The exchange was not asked. Give its configuration with -c to compare with it.")
            elif self.books.trade_of:
                text = f"There is no venue's record at {path.name}, though orders were sent."
                findings.differ("venue", path.name, text)
            return None
        try:
            return audit_venue.read_venue(path)
        except StorageError as error:
            findings.differ("venue", path.name, str(error))
            return None

    def _settle(self, venue: VenueBooks | None, installation: str, findings: Findings) -> None:
        books = self.books
        told = {} if venue is None else venue.told
        lost = {} if venue is None else audit_venue.lost_fills(books, venue, installation)
        self.trades = {
            trade_id: books.settle(trade_id, told, lost.get(trade_id, ()), findings) for trade_id in books.trade_ids()
        }
        count = sum(len(fills) for fills in lost.values())
        if count:
            findings.note(f"{count} fill(s) were in a part of the journal that was lost; the venue's record has them.")

"""The persistence actor: whatever is said to be recorded is on disk.

Rules
    It drains its mailbox, commits once, and acknowledges then: never before, never what was refused.
    A writer's records are numbered; one that is there already is acknowledged again and not written
    again, one that comes before its predecessor is left for the writer to repeat in order.
    An intent that spends a grant of an older portfolio is refused: that portfolio has forgotten it.
    Where the disk is nearly full entries are refused and everything else goes on. Where the journal
    cannot be written at all, nothing is acknowledged and it is tried again: what nobody can account
    for is not sent.
    The history process follows the journal by itself; here it is only kept alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from actors.base import Context, EngineActor
from actors.disk import DiskWatch, Room
from actors.journal import DiskFull, Journal, JournalUnwritable, UnfitRecord
from actors.tally import Tally
from engine.messages import (
    BalancesChanged,
    Entry,
    EpochAnnounced,
    LoadState,
    Plain,
    Record,
    Recorded,
    RecordRefused,
    SetTradingState,
    Shutdown,
    ShutdownDone,
    StateLoaded,
    TimerFired,
)
from engine.naming import account_of, named
from engine.types import TradingState

RETRY_MS: Final = 500
LOOK_MS: Final = 1_000
HISTORY_MS: Final = 250
HISTORY_STOP_MS: Final = 15_000


class HistoryKeeper(Protocol):
    """What keeps the history process alive; it outlives this actor's incarnations."""

    def poll(self, monotonic: float) -> Sequence[str]:
        """Start it when it is due, and tell in a sentence each what has become of it since the last call."""

    def begin_stop(self, seq: int) -> None:
        """Have it catch up with the journal, up to entry `seq` at least, and end; repeated where `seq` has grown."""

    @property
    def stopped(self) -> bool:
        """Whether it has ended after `begin_stop`."""

    @property
    def starts(self) -> int:
        """How often it was started."""

    def kill(self) -> None:
        """End it at once."""

    def status(self) -> Mapping[str, Plain]:
        """Its figures."""


class PersistenceActor(EngineActor):
    """One a process. `journal` and `history` are handed to every incarnation; without `disk` room is endless."""

    def __init__(
        self,
        ctx: Context,
        *,
        journal: Journal,
        history: HistoryKeeper | None = None,
        disk: DiskWatch | None = None,
    ) -> None:
        super().__init__(ctx)
        self._journal = journal
        self._history = history
        self._disk = disk
        self._pending: list[Record] = []
        self._retrying = False
        self._said_unwritable = False
        self._refused = 0
        self._commits = 0
        self._tally = Tally()
        self._stop_for = ""
        self._stop_by = 0.0
        self._stop_seq = 0

    def on_start(self) -> None:
        """Begin to watch the disk and the history process."""
        if self._disk is not None:
            self._look()
        if self._history is not None:
            self._poll_history()

    def status(self) -> Mapping[str, Plain]:
        """Journal position, commits, room, and the history's own figures."""
        figures: dict[str, Plain] = {"seq": self._journal.seq, "run": self._journal.run, "commits": self._commits}
        figures |= {"waiting": len(self._pending), "refused": self._refused, "unwritable": self._said_unwritable}
        figures |= self._tally.figures()
        if self._disk is not None:
            figures["disk"] = self._disk.room.value
        if self._history is not None:
            figures["history"] = dict(self._history.status())
        return figures

    # ------------------------------------------------------------ messages

    def on_record(self, message: Record) -> None:
        """Take it down for the next commit."""
        self._pending.append(message)

    def on_load_state(self, message: LoadState) -> None:
        """Answer with what is on disk."""
        self._commit()
        self.tell(
            message.writer,
            StateLoaded(
                writer=message.writer,
                state=self._journal.state(message.writer),
                seq=self._journal.last(message.writer),
            ),
        )

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """From now on only this portfolio's grants count."""
        if message.role == "portfolio":
            self._commit()  # what came before the news was granted by a portfolio that lived
            account, granting = account_of(message.name), self._journal.grant_epochs
            granting[account] = max(granting.get(account, 0), message.epoch)
            if self._disk is not None and self._disk.room is not Room.PLENTY:
                self._halt()
        super().on_epoch_announced(message)

    def on_balances_changed(self, message: BalancesChanged) -> None:
        """Record what the venue says of our balances."""
        body: dict[str, Plain] = {"account": message.account} if message.account else {}
        body["balances"] = [[currency, str(free), str(locked)] for currency, free, locked in message.balances]
        self._say(Entry(kind="BalancesChanged", ts=message.ts, body=body, stream="ops"))

    def on_shutdown(self, message: Shutdown) -> None:
        """Write what is left, let the history catch up, then say so."""
        self._commit()
        if self._history is None:
            self.tell(message.reply_to, ShutdownDone(name=self.name))
            return
        self._stop_for = message.reply_to
        self._stop_by = self.monotonic() + HISTORY_STOP_MS / 1_000
        self._stop_history(self._history)
        self.start_timer("history", 20)

    def on_timer_fired(self, message: TimerFired) -> None:
        """Retry a commit, look at the disk, or look after the history process."""
        if message.name == "retry":
            self._retrying = False
            self._commit()
        elif message.name == "disk":
            self._look()
        elif message.name == "history":
            self._poll_history()
        else:
            super().on_timer_fired(message)

    def on_batch_end(self) -> None:
        """The mailbox is empty: one commit for all of it."""
        if self._pending and not self._retrying:
            self._commit()

    def on_stop(self) -> None:
        """Leave nothing behind that can be written."""
        self._commit()

    # ------------------------------------------------------------ committing

    def _commit(self) -> None:
        if not self._pending or self.ctx.fenced:
            return
        waiting, self._pending = self._pending, []
        batch = self._admitted(waiting)
        while batch:
            try:
                self._journal.append(batch)
            except UnfitRecord as error:
                self.log.error("{}", error)
                self._refuse(error.record, "UNFIT", str(error))
                batch = [r for r in batch if r.writer != error.record.writer or r.seq < error.record.seq]
            except DiskFull as error:
                batch = self._on_full(batch, error)
            except JournalUnwritable as error:
                self._hold(batch, error)
                return
            else:
                self._acknowledge(batch)
                break

    def _admitted(self, waiting: Sequence[Record]) -> list[Record]:
        """What of it is new, in order, and allowed."""
        batch: list[Record] = []
        newest: dict[str, int] = {}
        for record in waiting:
            last = newest.get(record.writer)
            if last is None:
                last = self._journal.last(record.writer)
            if record.writer == self.name:
                record = replace(record, seq=last + 1)  # noqa: PLW2901  (nobody repeats these: numbered when written)
            if record.seq <= last:
                if record.writer not in newest:
                    self.tell(record.writer, Recorded(seq=last))
                continue
            if record.seq > last + 1 or self._is_refused(record):
                continue
            newest[record.writer] = record.seq
            batch.append(record)
        return batch

    def _is_refused(self, record: Record) -> bool:
        epoch = record.grant_epoch
        if epoch is None:
            return False
        account, granting = account_of(record.writer), self._journal.grant_epochs
        newest = granting.get(account, 0)
        if epoch < newest:
            self._refuse(record, "OLD_GRANT", f"granted by portfolio {epoch}, now it is {newest}")
            return True
        granting[account] = epoch
        if self._disk is not None and self._disk.room is not Room.PLENTY:
            self._refuse(record, "DISK_FULL", f"no entries while the disk is nearly full ({self._disk.describe()})")
            return True
        return False

    def _refuse(self, record: Record, code: str, detail: str) -> None:
        # Never to be sent again by itself: an entry that waited for room would be entered at another day's price.
        self._refused += 1
        if record.writer != self.name:
            self.tell(record.writer, RecordRefused(seq=record.seq, code=code, detail=detail))

    def _acknowledge(self, batch: Sequence[Record]) -> None:
        self._commits += 1
        self._tally.count(batch)
        for writer, seq in {record.writer: record.seq for record in batch}.items():
            if writer not in (self.name, "run"):  # nobody waits for the first and last record of a run
                self.tell(writer, Recorded(seq=seq))
        if self._said_unwritable:
            self._said_unwritable = False
            self.notify("warning", "journal", "The journal can be written again.")

    def _hold(self, batch: Sequence[Record], error: JournalUnwritable) -> None:
        """Nothing was written: keep it, in order, and try again soon."""
        self._pending = [*batch, *self._pending]
        if not self._said_unwritable:
            self._said_unwritable = True
            self.log.error("{}", error)
            self.notify("alarm", "journal", f"{error} Nothing is sent until it can.")
        self._retrying = True
        self.start_timer("retry", RETRY_MS)

    def _on_full(self, batch: Sequence[Record], error: DiskFull) -> list[Record]:
        """Make room by the ballast and leave the entries out: what to try now; none where that did not help."""
        if self._disk is None:
            self._hold(batch, error)
            return []
        was = self._disk.room
        freed = self._disk.give_back()
        if was is Room.PLENTY:
            self._say_room()
        kept: list[Record] = []
        dropped: set[str] = set()
        for record in batch:
            if record.writer in dropped:
                continue  # it follows a refused one and comes again
            if self._is_refused(record):
                dropped.add(record.writer)
            else:
                kept.append(record)
        if freed or len(kept) < len(batch):
            return kept
        self._hold(kept, error)
        return []

    def _say(self, entry: Entry) -> None:
        """Put an entry of our own into the next commit."""
        self._pending.append(Record(writer=self.name, seq=0, entries=(entry,), epoch=self.epoch))

    # ------------------------------------------------------------ the disk

    def _look(self) -> None:
        assert self._disk is not None
        was = self._disk.room
        if (self._disk.look() is Room.PLENTY) != (was is Room.PLENTY):
            self._say_room()
        self.start_timer("disk", LOOK_MS)

    def _say_room(self) -> None:
        assert self._disk is not None
        figures = self._disk.describe()
        if self._disk.room is Room.PLENTY:
            text = f"There is room on the disk again ({figures}); entries go on."
            self.notify("info", "disk", text)
            self._turn_switches(TradingState.ACTIVE, text)
        else:
            text = f"The disk is nearly full ({figures}): no entries; exits and stops go on."
            self.notify("alarm", "disk", text)
            self._halt()

    def _halt(self) -> None:
        assert self._disk is not None
        text = f"the disk is nearly full ({self._disk.describe()})"
        self._turn_switches(TradingState.EXITS_ONLY, text)

    def _turn_switches(self, state: TradingState, reason: str) -> None:
        """Tell every portfolio that has ever announced itself; before any has, the one of a bot with one account."""
        for account in self._journal.grant_epochs or ("",):
            self.tell(named("portfolio", account), SetTradingState(state=state, reason=reason, source="disk"))

    # ------------------------------------------------------------ the history process

    def _poll_history(self) -> None:
        history = self._history
        assert history is not None
        for text in history.poll(self.monotonic()):
            self.log.warning("history: {}", text)
            body = {"name": "history", "epoch": history.starts, "reason": text, "trace": ""}
            self._say(Entry(kind="ActorRestarted", ts=self.now(), body=body, stream="ops"))
            self.notify("warning", "history", text)
        if not self._stop_for:
            self.start_timer("history", HISTORY_MS)
        elif history.stopped or self.monotonic() > self._stop_by:
            history.kill()
            reply_to, self._stop_for = self._stop_for, ""
            self.tell(reply_to, ShutdownDone(name=self.name))
        else:
            if self._journal.seq > self._stop_seq:
                self._stop_history(history)  # a last word that came after the wish to end
            self.start_timer("history", 20)

    def _stop_history(self, history: HistoryKeeper) -> None:
        self._stop_seq = self._journal.seq
        history.begin_stop(self._stop_seq)

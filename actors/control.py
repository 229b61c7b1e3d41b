"""The control actor: what a user asks of the running bot over its socket, and the answer in words.

Rules
    The socket's own thread only tells this actor; nothing here waits. A request that needs others is
    asked of them by message and answered when they have, or when its time is over, saying who did not.
    Requests are JSON objects with the name under `request`; answers are `{"ok", "detail", "data"}`.
    A drill (`kill`) says that it is one, in the log and to the notifier.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from actors.base import Context
from actors.sockets import SocketServer
from actors.standing import OWN, SHARED, Answers, actors_of, has_trade, in_words, standing, turned
from actors.switching import SwitchingActor, kept_in_words
from engine.messages import (
    AccountAway,
    AccountJoined,
    ControlAnswered,
    ControlRequested,
    ForceEnter,
    ForceExit,
    Kill,
    LockPair,
    Message,
    ReportStatus,
    Shutdown,
    ShutdownDone,
    TimerFired,
)
from engine.naming import account_of, named, role_of
from engine.types import Side, TradingState

ANSWER_MS: Final = 5_000
"""How long others may take before the user is told who did not answer."""

WAITING_MAX: Final = 128
TAG_MAX: Final = 255

Finish = Callable[[Answers, Iterable[str]], None]
"""Gets the answers by actor's name, and the names of those that did not answer."""


@dataclass(slots=True)
class _Waiting:
    """A request on its way: whom it was put to, and what happens when all have answered."""

    client: int
    missing: set[str]
    finish: Finish
    answers: dict[str, ControlAnswered] = field(default_factory=dict)


class ControlActor(SwitchingActor):
    """Owns the control socket and the requests in hand; decides nothing about trading.

    `accounts` are those that are there, `away` says why each other one is not; `services` are the actors whose
    figures make up the status; `about` is said with every status: version, files.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        socket_path: Path,
        accounts: Sequence[AccountJoined],
        away: Mapping[str, str] | None = None,
        services: Sequence[str] = (*OWN, *SHARED),
        about: Mapping[str, Any] | None = None,
        answer_ms: int = ANSWER_MS,
    ) -> None:
        super().__init__(ctx, away or {})
        self._answer_ms = answer_ms
        self._server = SocketServer(socket_path, self._heard)
        self._pairs: dict[str, str] = {}
        for account in accounts:
            self.on_account_joined(account)
        self._services = services
        self._about = dict(about or {})
        self._waiting: dict[str, _Waiting] = {}
        self._count = 0
        self._served = 0
        self._requests: dict[str, Callable[[int, Mapping[str, Any]], None]] = {
            "status": self._status,
            "pause": self._pause,
            "resume": self._resume,
            "enter": self._enter,
            "exit": self._exit,
            "lock": self._lock,
            "stop": self._stop,
            "kill": self._kill,
        }

    def on_start(self) -> None:
        """Open the socket."""
        super().on_start()
        self._server.start()

    def on_stop(self) -> None:
        """Leave nobody without an answer."""
        for waiting in self._waiting.values():
            self._answer(waiting.client, ok=False, detail="The bot has ended.")
        self._waiting.clear()

    def release(self) -> None:
        """Close the socket and remove it."""
        self._server.close()

    def status(self) -> Mapping[str, Any]:
        """How many requests were served and are in hand."""
        return {"served": self._served, "in_hand": len(self._waiting)}

    def _heard(self, client: int, request: Mapping[str, Any]) -> None:
        """In the socket's thread: hand on, nothing else."""
        self.ctx.tell(self.name, ControlRequested(client=client, request=request))

    # ------------------------------------------------------------ messages

    def on_account_joined(self, message: AccountJoined) -> None:
        """An account is there: its pairs can be asked for."""
        self.joined(message)
        self._pairs |= dict.fromkeys(message.pairs, message.account)

    def on_account_away(self, message: AccountAway) -> None:
        """An account takes no part in this run."""
        self._away[message.account] = message.why

    def on_control_requested(self, message: ControlRequested) -> None:
        """Do what was asked, or say why not."""
        self._served += 1
        name = message.request.get("request")
        serve = self._requests.get(name) if isinstance(name, str) else None
        if serve is None:
            close = difflib.get_close_matches(str(name), self._requests, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(self._requests)}."
            self._answer(message.client, ok=False, detail=f"There is no request {str(name)[:40]!r}. {hint}")
        elif len(self._waiting) >= WAITING_MAX:
            self._answer(message.client, ok=False, detail="Too many requests are in hand; try again in a moment.")
        else:
            serve(message.client, message.request)

    def on_control_answered(self, message: ControlAnswered) -> None:
        """One of those asked has answered."""
        request, _, actor = message.request_id.partition("|")
        waiting = self._waiting.get(request)
        if waiting is None or actor not in waiting.missing:
            return
        waiting.missing.discard(actor)
        waiting.answers[actor] = message
        if not waiting.missing:
            self._finish(request)

    def on_timer_fired(self, message: TimerFired) -> None:
        """A request's time is over: answer with what is known."""
        if message.name in self._waiting:
            self._finish(message.name)

    def on_shutdown(self, message: Shutdown) -> None:
        """Requests in hand are answered in `on_stop`; nothing of this actor's keeps the bot from ending."""
        self.tell(message.reply_to, ShutdownDone(name=self.name))

    # ------------------------------------------------------------ asking others

    def _ask(self, client: int, asked: Mapping[str, Callable[[str], Message]], finish: Finish) -> None:
        """Put a question to each actor of `asked`; the functions make it from the request's id."""
        self._count += 1
        request = f"{self.epoch}.{self._count}"
        if not asked:
            finish({}, ())
            return
        self._waiting[request] = _Waiting(client, set(asked), finish)
        self.start_timer(request, self._answer_ms)
        for actor, make in asked.items():
            self.tell(actor, make(f"{request}|{actor}"))

    def _report(self, request_id: str) -> ReportStatus:
        return ReportStatus(request_id=request_id, reply_to=self.name)

    def _finish(self, request: str) -> None:
        waiting = self._waiting.pop(request)
        self.cancel_timer(request)
        waiting.finish(waiting.answers, sorted(waiting.missing))

    def _answer(self, client: int, *, ok: bool, detail: str, data: Mapping[str, Any] | None = None) -> None:
        self._server.reply(client, {"ok": ok, "detail": detail, "data": data or {}})

    def _known_pair(self, client: int, request: Mapping[str, Any]) -> str | None:
        """The pair that the request names, with its account; None after saying what is wrong with it."""
        given = str(request.get("pair", ""))
        pair = named(role_of(given).upper(), account_of(given).lower())
        if pair in self._pairs:
            return pair
        of_several = [name for name in self._pairs if role_of(name) == pair]
        close = of_several[:3] or difflib.get_close_matches(pair, self._pairs, n=1)
        hint = (
            f"Did you mean {' or '.join(close)}?"
            if close
            else f"It trades {len(self._pairs)} pairs; see `tradepit status`."
        )
        self._answer(client, ok=False, detail=f"This bot does not trade {pair[:40] or 'a pair without a name'}. {hint}")
        return None

    # ------------------------------------------------------------ requests

    def _status(self, client: int, request: Mapping[str, Any]) -> None:
        if request.get("pair"):
            pair = self._known_pair(client, request)
            if pair is not None:
                name = f"pair:{pair}"
                self._ask(client, {name: self._report}, lambda found, _: self._one_pair(client, pair, found))
            return
        asked = dict.fromkeys(actors_of(self._accounts.values(), self._services), self._report)
        self._ask(client, asked, lambda found, silent: self._whole_status(client, found, silent))

    def _pair_actors(self) -> list[str]:
        return [f"pair:{pair}" for pair in sorted(self._pairs)]

    def _one_pair(self, client: int, pair: str, found: Answers) -> None:
        answer = found.get(f"pair:{pair}")
        if answer is None:
            self._answer(client, ok=False, detail=f"The actor of {pair} did not answer; it may be restarting.")
        else:
            data = {**answer.data, "pair": pair}
            self._answer(client, ok=True, detail=f"{pair}: {data.get('state', 'answered')}", data=data)

    def _whole_status(self, client: int, found: Answers, silent: Iterable[str]) -> None:
        quiet = list(silent)
        figures = standing(list(self._accounts.values()), found, self._services, self.ctx.now_of)
        data: dict[str, Any] = {**self._about, **figures, "silent": quiet, "runtime": self._runtime_figures()}
        detail = in_words(data, len(self._pairs))
        if self._away:
            data["away"] = dict(self._away)
            detail += "".join(f" {account} is not there: {why.rstrip('.')}." for account, why in self._away.items())
        if quiet:
            detail += f" No answer from {', '.join(quiet[:5])}{' and others' if len(quiet) > 5 else ''}."
        self._answer(client, ok=True, detail=detail, data=data)

    def _runtime_figures(self) -> dict[str, Any]:
        stats = self.ctx.stats()
        deepest = max(stats.actors, key=lambda a: a.depth, default=None)
        return {
            "actors": len(stats.actors),
            "messages": sum(a.handled for a in stats.actors),
            "mailbox_depth": sum(a.depth for a in stats.actors),
            "deepest": asdict(deepest) if deepest else {},
            "restarts": sum(a.epoch - 1 for a in stats.actors),
            "dead_letters": stats.dead_letters,
            "dropped": stats.dropped,
            "fenced": stats.fenced,
        }

    def _pause(self, client: int, request: Mapping[str, Any]) -> None:
        everything = bool(request.get("all"))
        said = "stopped by the user" if everything else "paused by the user"
        self._set_state(client, request, TradingState.STOPPED if everything else TradingState.EXITS_ONLY, said)

    def _resume(self, client: int, request: Mapping[str, Any]) -> None:
        self._set_state(client, request, TradingState.ACTIVE, "resumed by the user")

    def _set_state(self, client: int, request: Mapping[str, Any], state: TradingState, said: str) -> None:
        """Turn the switches, then ask: messages from here to a portfolio keep their order."""
        wanted = request.get("account")
        accounts = [account for account in self._accounts if wanted is None or account == str(wanted).lower()]
        absent = [account for account in self._away if wanted is None or account == str(wanted).lower()]
        if not accounts and not absent:
            there = ", ".join(account for account in self._accounts if account)
            hint = f"Its accounts are {there}." if there else "It has one, without a name."
            self._answer(client, ok=False, detail=f"This bot has no account {str(wanted)[:40]!r} now. {hint}")
            return
        reason = str(request.get("reason") or said)[:TAG_MAX]
        self.turn(accounts, absent, state, reason)
        asked = {named("portfolio", account): self._report for account in accounts}
        self._ask(client, asked, lambda found, _: self._states_set(client, state, (accounts, absent), found))

    def _states_set(
        self, client: int, wanted: TradingState, of: tuple[Sequence[str], Sequence[str]], found: Answers
    ) -> None:
        accounts, absent = of
        told = {account: turned(wanted, found.get(named("portfolio", account))) for account in accounts}
        lines = [f"{account}: {one.detail}" if account else one.detail for account, one in told.items()]
        lines += [kept_in_words(account, wanted) for account in absent]
        tables = {account: one.data for account, one in told.items()}
        data = tables.get("", {"accounts": tables, "absent": list(absent)})
        self._answer(client, ok=all(one.ok for one in told.values()), detail="\n".join(lines), data=data)

    def _enter(self, client: int, request: Mapping[str, Any]) -> None:
        pair = self._known_pair(client, request)
        if pair is None:
            return
        side = request.get("side", Side.LONG.value)
        if side not in (Side.LONG.value, Side.SHORT.value):
            self._answer(client, ok=False, detail=f"A side is long or short, not {str(side)[:40]!r}.")
            return
        tag = str(request.get("tag") or "force_entry")[:TAG_MAX]
        self._ask(
            client,
            {
                f"pair:{pair}": lambda request_id: ForceEnter(
                    request_id=request_id, pair=role_of(pair), side=Side(side), tag=tag, reply_to=self.name
                )
            },
            lambda found, _: self._outcomes(client, found, (pair,)),
        )

    def _exit(self, client: int, request: Mapping[str, Any]) -> None:
        if request.get("all") is True:
            asked = dict.fromkeys(self._pair_actors(), self._report)
            self._ask(client, asked, lambda found, silent: self._exit_all(client, found, silent))
            return
        pair = self._known_pair(client, request)
        if pair is not None:
            self._exit_pairs(client, [pair])

    def _exit_all(self, client: int, found: Answers, silent: Iterable[str]) -> None:
        """Leave what is open, and what did not say: a silent pair may hold something."""
        held = [name for name, answer in found.items() if has_trade(answer.data)]
        pairs = sorted(name.removeprefix("pair:") for name in (*held, *silent))
        if pairs:
            self._exit_pairs(client, pairs)
        else:
            self._answer(client, ok=True, detail="There are no open trades.")

    def _exit_pairs(self, client: int, pairs: list[str]) -> None:
        self._ask(
            client,
            {f"pair:{pair}": self._exit_message(pair) for pair in pairs},
            lambda found, _: self._outcomes(client, found, pairs),
        )

    def _exit_message(self, pair: str) -> Callable[[str], Message]:
        return lambda request_id: ForceExit(request_id=request_id, pair=role_of(pair), reply_to=self.name)

    def _outcomes(self, client: int, found: Answers, pairs: Iterable[str]) -> None:
        """Say of each pair what came of it."""
        said = []
        for pair in pairs:
            answer = found.get(f"pair:{pair}")
            silent = "it did not answer in time; see `tradepit status` for what came of it"
            said.append((pair, answer is not None and answer.ok, answer.detail if answer else silent))
        self._answer(
            client,
            ok=all(ok for _, ok, _ in said),
            detail="\n".join(f"{pair}: {detail}" for pair, _, detail in said),
            data={"pairs": [{"pair": pair, "ok": ok, "detail": detail} for pair, ok, detail in said]},
        )

    def _lock(self, client: int, request: Mapping[str, Any]) -> None:
        minutes = request.get("minutes")
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes <= 10**7:
            self._answer(client, ok=False, detail="A lock needs `minutes`, a number above 0.")
            return
        pair = "*" if request.get("pair") == "*" else self._known_pair(client, request)
        if pair is None:
            return
        for account in self._accounts if pair == "*" else (self._pairs[pair],):
            until = self.ctx.now_of(account) + int(minutes * 60_000)
            lock = LockPair(pair=role_of(pair), side="*", until=until, reason="locked by the user")
            self.tell(named("portfolio", account), lock)
        self._answer(client, ok=True, detail=f"No entries on {pair} for {minutes:g} minutes.")

    def _stop(self, client: int, request: Mapping[str, Any]) -> None:
        detail = "It ends in order: no new entries, what is in flight is settled, the history catches up."
        self._answer(client, ok=True, detail=detail)
        self.ctx.request_exit(0, str(request.get("reason") or "stopped by the user")[:TAG_MAX])

    def _kill(self, client: int, request: Mapping[str, Any]) -> None:
        name = str(request.get("actor", ""))
        names = [actor.name for actor in self.ctx.stats().actors]
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]}?" if close else "See `tradepit status --json` for names."
            self._answer(client, ok=False, detail=f"There is no actor {name[:60]!r}. {hint}")
            return
        text = f"drill: {name} is made to crash by the user"
        self.log.warning(text)
        self.notify("warning", "drill", text)
        self._answer(client, ok=True, detail=f"A drill: {name} was told to crash; its supervisor starts it again.")
        self.tell(name, Kill(reason="drill: killed by hand"))

"""A bot that is only its control actor, over small fakes of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.base import Context, EngineActor
from actors.control import ControlActor
from actors.runtime import ThreadRuntime
from actors.sockets import call
from engine.messages import AccountJoined, ControlAnswered, ForceEnter, ForceExit, LockPair, SetTradingState
from engine.types import TradingState
from tests.actors.probes import Seen, probe

PAIRS = ("BTC/USDT", "ETH/USDT")


def joined(pairs: tuple[str, ...], account: str = "") -> AccountJoined:
    """What is said of an account of these pairs."""
    about = {"strategy": "Mine", "mode": "paper", "currency": "USDT"}
    return AccountJoined(account=account, pairs=pairs, start=Decimal(1_000), **about)


class Account(EngineActor):
    """A portfolio that only has a switch; `stuck` keeps it where it is."""

    def __init__(self, ctx: Context, seen: Seen, stuck: str = "") -> None:
        super().__init__(ctx)
        self.seen = seen
        self.state = TradingState.EXITS_ONLY if stuck else TradingState.ACTIVE
        self.stuck = stuck

    def on_set_trading_state(self, message: SetTradingState) -> None:
        """Turn the switch."""
        self.seen.add(message)
        self.state = self.state if self.stuck else message.state

    def on_lock_pair(self, message: LockPair) -> None:
        """Keep it."""
        self.seen.add(message)

    def status(self) -> Mapping[str, Any]:
        """The switch, and one open trade."""
        return {"state": self.state.value, "reasons": [self.stuck], "open_trades": 1}


class Pair(EngineActor):
    """A pair that does what it is told, if it has a trade."""

    def __init__(self, ctx: Context, seen: Seen, state: str) -> None:
        super().__init__(ctx)
        self.seen = seen
        self.state = state

    def on_force_enter(self, message: ForceEnter) -> None:
        """Say yes."""
        self.seen.add(message)
        self._answer(message.request_id, message.reply_to, ok=True, detail="entering")

    def on_force_exit(self, message: ForceExit) -> None:
        """Say yes if there is something to leave."""
        self.seen.add(message)
        ok = self.state == "OPEN"
        self._answer(message.request_id, message.reply_to, ok=ok, detail="leaving" if ok else "there is no open trade")

    def _answer(self, request_id: str, to: str, *, ok: bool, detail: str) -> None:
        self.tell(to, ControlAnswered(request_id=request_id, ok=ok, detail=detail))

    def status(self) -> Mapping[str, Any]:
        """Its state."""
        return {"pair": self.name.removeprefix("pair:"), "state": self.state}


class Bot:
    """A control actor over small fakes of the others, on threads."""

    def __init__(self, path: Path) -> None:
        self.seen = Seen()
        self.path = path
        self.runtime = ThreadRuntime(watchdog_s=0)
        self.stuck = ""
        self.spawn("portfolio", lambda ctx: Account(ctx, self.seen, self.stuck))
        self.spawn("notifier", probe(self.seen))
        self.spawn("root", probe(Seen()))
        self.spawn("pair:BTC/USDT", lambda ctx: Pair(ctx, self.seen, "OPEN"))
        self.spawn("pair:ETH/USDT", lambda ctx: Pair(ctx, self.seen, "FLAT"))

    def spawn(self, name: str, factory: Callable[[Context], EngineActor]) -> None:
        """Start an actor."""
        self.runtime.spawn(name, factory)

    def start(self) -> Bot:
        """Start the control actor, and wait until it answers."""
        self.spawn(
            "control",
            lambda ctx: ControlActor(
                ctx,
                socket_path=self.path,
                accounts=[joined(PAIRS)],
                services=("portfolio",),
                about={"version": "0.1"},
                answer_ms=2_000,
            ),
        )
        assert self.runtime.stats()
        for _ in range(6_000):
            if self.path.exists():
                break
            self.runtime.wait(0.01)
        return self

    def ask(self, request: str, **more: Any) -> dict[str, Any]:
        """Ask as the command line does."""
        return call(self.path, {"request": request, **more}, 15)

"""Several accounts: what users ask of them, their keys, their limits, and who is reached when."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from actors.arrivals import AWAY, Arrivals
from actors.cli import main
from actors.commands.common import one_account
from actors.control import ControlActor
from actors.keys import check_apart, keys_of
from actors.place import Place
from actors.rate_limiter import RateLimiterActor
from actors.reaching import Patience
from actors.screen import AccountRow, Snapshot, plain_line
from actors.sim import SimRuntime
from engine.config import parse_config
from engine.errors import ConfigError, Outage, Problem
from engine.messages import ForceEnter, LockPair, Notify, SetTradingState, UsageReported
from engine.settings import Config, ExchangeConfig
from tests.actors.control_bot import Account, Bot, Pair, joined
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe
from tests.actors.test_rate_limiter import LIMITS


def of_accounts(text: str) -> Config:
    """The configuration of a TOML text."""
    return parse_config(tomllib.loads(text, parse_float=Decimal))


PAPER = of_accounts('[[accounts]]\nname = "a"\n[[accounts]]\nname = "b"\n')
LIVE = '[[accounts]]\nname = "{}"\nmode = "live"\n[accounts.exchange]\nname = "binance"\n[accounts.live]\nexchange = "binance"\nlargest_stake = 5\n'

# ---------------------------------------------------------------- control


class Two(Bot):
    """A control actor over two accounts, of which one has an actor that is awaited."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.of = {"a": Seen(), "b": Seen()}
        for name, seen in self.of.items():
            self.spawn(f"portfolio@{name}", lambda ctx, seen=seen: Account(ctx, seen))  # type: ignore[misc]
            self.spawn(f"pair:BTC/USDT@{name}", lambda ctx, seen=seen: Pair(ctx, seen, "OPEN"))  # type: ignore[misc]

    def start(self) -> Two:
        """Start the control actor, and wait until it answers."""
        accounts = [joined((f"BTC/USDT@{name}",), name) for name in self.of]
        self.spawn(
            "control",
            lambda ctx: ControlActor(
                ctx,
                socket_path=self.path,
                accounts=accounts,
                away={"c": AWAY},
                services=("portfolio",),
                answer_ms=2_000,
            ),
        )
        for _ in range(6_000):
            if self.path.exists():
                break
            self.runtime.wait(0.01)
        return self


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Two]:
    """A running control actor of two accounts."""
    bot = Two(tmp_path / "x.sock")
    bot.start()
    yield bot
    bot.runtime.close()


def test_status_has_a_table_for_each_account(bot: Two) -> None:
    """The states, the pairs and the figures are said of each account; who is not there is said too."""
    answer = bot.ask("status")

    assert (
        "a ACTIVE, b ACTIVE: 2 pairs, 2 open trades. c is not there: its exchange does not answer." == answer["detail"]
    )
    assert {"a": {"OPEN": 1}, "b": {"OPEN": 1}} == {n: t["pairs"] for n, t in answer["data"]["accounts"].items()}
    assert ["BTC/USDT@a", "BTC/USDT@b"] == [trade["pair"] for trade in answer["data"]["open_trades"]]


def test_a_pair_is_named_with_its_account(bot: Two) -> None:
    """The account's own actor is told of the plain pair; a pair without its account is asked back."""
    entered, unclear = bot.ask("enter", pair="btc/usdt@B"), bot.ask("enter", pair="BTC/USDT")

    assert "BTC/USDT@b: entering" == entered["detail"]
    assert ["BTC/USDT"] == [message.pair for message in bot.of["b"].of(ForceEnter)]
    assert not bot.of["a"].of(ForceEnter)
    assert not unclear["ok"]
    assert "Did you mean BTC/USDT@a or BTC/USDT@b?" in unclear["detail"]


def test_switches_are_turned_together_or_one_by_one(bot: Two) -> None:
    """Pause is for all accounts, or for the one that is named; an unknown name is answered with those there are."""
    one, all_of_them, none = bot.ask("pause", account="b"), bot.ask("resume"), bot.ask("pause", account="x")

    assert ["EXITS_ONLY"] == [table["state"] for table in one["data"]["accounts"].values()]
    assert {"a", "b"} == set(all_of_them["data"]["accounts"])
    assert 1 == len(bot.of["a"].of(SetTradingState))
    assert 2 == len(bot.of["b"].of(SetTradingState))
    assert "no account 'x' now. Its accounts are a, b." in none["detail"]


def late(bot: Two, name: str = "c") -> Seen:
    """An account that joins now; what its portfolio is told."""
    seen = Seen()
    bot.spawn(f"portfolio@{name}", lambda ctx: Account(ctx, seen))
    bot.runtime.tell("control", joined((f"BTC/USDT@{name}",), name))
    return seen


def test_a_pause_is_for_accounts_that_join_later_too(bot: Two) -> None:
    """Who is not there is named in the answer, and its switch is turned when it joins, before anything else is asked."""
    said = bot.ask("pause", all=True, reason="holidays")
    (switch,) = late(bot).wait(SetTradingState)

    assert said["ok"]
    assert said["detail"].endswith("\nc: it is not there; no entries are made when it joins.")
    assert ["c"] == said["data"]["absent"]
    assert ("STOPPED", "holidays", "user") == (switch.state, switch.reason, switch.source)
    assert "STOPPED" == bot.ask("status")["data"]["accounts"]["c"]["portfolio"]["state"]
    assert [] == bot.ask("resume")["data"]["absent"]


def test_the_last_word_counts_for_who_joins(bot: Two) -> None:
    """An absent account may be paused by name as well, and is told only what was said last, once."""
    bot.ask("pause")
    named_alone = bot.ask("pause", account="C", all=True)
    seen = late(bot)
    seen.wait(SetTradingState)
    bot.ask("status")

    assert "c: it is not there; no entries are made when it joins." == named_alone["detail"]
    assert ["STOPPED"] == [switch.state for switch in seen.of(SetTradingState)]
    assert 1 == len(bot.of["a"].of(SetTradingState))


def test_a_pause_of_an_absent_account_outlives_the_bot(tmp_path: Path) -> None:
    """It is in the journal: after a new start the account is told of it, whether it is there at once or joins."""
    disk = Disk()
    for there in (True, False):
        first = Two(tmp_path / "x.sock")
        first.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
        first.start()
        first.ask("pause", reason="holidays")
        for _ in range(6_000):
            if disk.states.get("control", (0, {}))[1].get("kept"):
                break
            first.runtime.wait(0.01)
        first.runtime.close()
        again = Two(tmp_path / "y.sock")
        again.spawn("persistence", lambda ctx: MemoryPersistence(ctx, disk))
        seen = Seen()
        if there:
            again.of["c"] = seen
            again.spawn("portfolio@c", lambda ctx, seen=seen: Account(ctx, seen))  # type: ignore[misc]
            again.start()
        else:
            again.start()
            seen = late(again)
        (switch,) = seen.wait(SetTradingState)
        for _ in range(6_000):
            if not disk.states["control"][1]["kept"]:
                break
            again.runtime.wait(0.01)
        again.runtime.close()

        assert ("EXITS_ONLY", "holidays") == (switch.state, switch.reason)
        assert {} == disk.states["control"][1]["kept"], "it is told once"


def test_all_pairs_are_locked_in_every_account(bot: Two) -> None:
    """A lock of all pairs is each portfolio's; one of a pair only its account's, under the pair's plain name."""
    bot.ask("lock", pair="*", minutes=5)
    bot.ask("lock", pair="BTC/USDT@a", minutes=5)
    bot.ask("status")

    assert ["*", "BTC/USDT"] == [lock.pair for lock in bot.of["a"].of(LockPair)]
    assert ["*"] == [lock.pair for lock in bot.of["b"].of(LockPair)]


def test_the_log_line_tells_each_account() -> None:
    """With accounts the line says each one's state and capital in its own currency, never their sum."""
    row = AccountRow(
        name="a",
        state="ACTIVE",
        reason="",
        currency="USDT",
        total=5,
        free=5,
        tied=0,
        start=5,
        profit=0,
        open=0,
        pairs=1,
        slots=1,
    )
    snapshot = Snapshot(
        at=1, ts=1, strategy="x", state="ACTIVE", accounts=(row, replace(row, name="b", currency="EUR"))
    )

    assert plain_line(snapshot).startswith(
        "a: ACTIVE total=5.00 free=5.00 USDT open=0 profit=+0.00  b: ACTIVE total=5.00"
    )


# ---------------------------------------------------------------- limits


def test_silence_is_kept_by_all_accounts_of_an_exchange() -> None:
    """When the exchange wants silence of one account its neighbours keep it too, and the user is told once."""
    sim, notified = SimRuntime(1, start_ms=0), Seen()
    sim.spawn("notifier", probe(notified))
    for name, other in (("a", "b"), ("b", "a")):
        sim.spawn(f"gateway@{name}", probe(Seen()))
        near = (f"limiter@{other}",)
        sim.spawn(f"limiter@{name}", lambda ctx, near=near: RateLimiterActor(ctx, LIMITS, neighbours=near))  # type: ignore[misc]
    told: list[str] = []
    sim.on_delivery = lambda _, __, to, message: told.append(to) if isinstance(message, UsageReported) else None

    sim.tell("limiter@a", UsageReported(pool="", retry_after_ms=30_000, banned=True))
    sim.settle()

    assert ["limiter@a", "limiter@b"] == told
    assert ["a"] == [notice.account for notice in notified.of(Notify)]


# ---------------------------------------------------------------- keys and the command line


def test_each_account_has_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's name is part of its variables; what lacks is said by those names."""
    monkeypatch.setenv("TRADEPIT_MY_SPOT_KEY", "k")
    with pytest.raises(ConfigError, match="Set TRADEPIT_MY_SPOT_SECRET"):
        keys_of(ExchangeConfig(name="binance"), "my-spot")
    monkeypatch.setenv("TRADEPIT_MY_SPOT_SECRET", "s")

    assert {"apiKey": "k", "secret": "s"} == keys_of(ExchangeConfig(name="binance"), "my-spot")


def test_one_account_is_not_configured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two live accounts on the same market with the same key are refused: they would spend the same money."""
    config = of_accounts(LIVE.format("a") + LIVE.format("b"))
    for name in ("A", "B"):
        monkeypatch.setenv(f"TRADEPIT_{name}_KEY", "same")
        monkeypatch.setenv(f"TRADEPIT_{name}_SECRET", "s")

    with pytest.raises(ConfigError, match=r"accounts\.b\.exchange: a trades on the same market with the same key"):
        check_apart(config.accounts)
    monkeypatch.setenv("TRADEPIT_B_KEY", "another")
    check_apart(config.accounts)


def test_a_command_about_one_account_asks_which() -> None:
    """Of several accounts one must be named; a name that is none, or where there are none, is refused."""
    with pytest.raises(ConfigError, match=r"there are a, b\. Say which: --account a"):
        one_account(PAPER, None)
    with pytest.raises(ConfigError, match="Name one of them"):
        one_account(PAPER, "x")
    with pytest.raises(ConfigError, match=r"no \[\[accounts\]\]\. Leave it out"):
        one_account(Config(), "a")
    assert "b" == one_account(PAPER, "b").account
    assert Config() == one_account(Config(), None)


def test_backtests_need_the_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line says so in one sentence, and `check` goes through all accounts."""
    config = tmp_path / "c.toml"
    config.write_text('[feed]\npairs = 2\n[[accounts]]\nname = "a"\n[[accounts]]\nname = "b"\n', encoding="utf-8")

    assert 2 == main(["backtest", "-c", str(config), "--data", str(tmp_path)])
    assert "Say which: --account a" in capsys.readouterr().err
    assert 0 == main(["check", "-c", str(config)])
    out = capsys.readouterr().out
    assert "is in order for the account a." in out
    assert "is in order for the account b." in out
    assert "account =" not in out


# ---------------------------------------------------------------- arrivals


class Places:
    """Places that are made when they may be; `away` accounts are not there yet, `wrong` ones never will be."""

    def __init__(self, *, away: tuple[str, ...] = (), wrong: tuple[str, ...] = ()) -> None:
        self.away = set(away)
        self.wrong = set(wrong)
        self.closed: list[str] = []

    def reach(self, config: Config, patience: Patience) -> Place:
        """The account's place, once it is there."""
        name = config.account
        while name in self.away:
            if not patience(0.01):
                raise Outage("away.")
        if name in self.wrong:
            raise ConfigError([Problem("exchange", name, "the keys are refused", "Look at them")])
        close: Callable[[], None] = lambda: self.closed.append(name)  # noqa: E731
        return Place(pairs=(), markets={}, stream=None, venue=None, limits=LIMITS, clock=None, close=close)  # type: ignore[arg-type]


def test_who_is_away_comes_later() -> None:
    """The first look does not wait for an account whose exchange is away; it is told of when it is there, once."""
    places, told = Places(away=("b",)), Seen()
    arrivals = Arrivals(PAPER.accounts, places.reach, lambda _: True)

    assert ["a"] == [config.account for config, _ in arrivals.first()]
    assert {"b": AWAY} == arrivals.missing()
    say = lambda config, _: told.add(Notify(ts=0, severity="", event="", text="", account=config.account))  # noqa: E731
    arrivals.later(say, say)
    places.away.clear()

    assert ["b"] == [notice.account for notice in told.wait(Notify)]
    assert {} == arrivals.missing()
    arrivals.close()
    assert [] == places.closed, "whoever was told of it closes it"


def test_one_that_hangs_is_not_waited_for_long() -> None:
    """An exchange that neither answers nor fails holds the others up for a stated time only, and joins later."""
    go = threading.Event()

    def reach(config: Config, patience: Patience) -> Place:
        if config.account == "b":
            go.wait(60)
        return Places().reach(config, patience)

    arrivals, told = Arrivals(PAPER.accounts, reach, lambda _: True, first_s=0.1), Seen()

    assert ["a"] == [config.account for config, _ in arrivals.first()]
    say = lambda config, _: told.add(Notify(ts=0, severity="", event="", text="", account=config.account))  # noqa: E731
    arrivals.later(say, say)
    go.set()
    assert ["b"] == [notice.account for notice in told.wait(Notify)]
    arrivals.close()


def test_a_mistake_at_the_first_look_ends_the_start() -> None:
    """One account's refused keys end the start, and the other's connection is given back."""
    places = Places(wrong=("b",))

    with pytest.raises(ConfigError, match="the keys are refused"):
        Arrivals(PAPER.accounts, places.reach, lambda _: True).first()
    assert ["a"] == places.closed


def test_a_mistake_that_shows_later_leaves_the_account_out() -> None:
    """Keys that are refused when the exchange is back concern that account alone."""
    places, told = Places(away=("b",), wrong=("b",)), Seen()
    arrivals = Arrivals(PAPER.accounts, places.reach, lambda _: True)
    arrivals.first()
    arrivals.later(
        lambda _, __: None,
        lambda config, error: told.add(Notify(ts=0, severity="", event="", text=str(error), account=config.account)),
    )
    places.away.clear()

    (notice,) = told.wait(Notify)
    assert "b" == notice.account
    assert "the keys are refused" in notice.text
    assert {"b": notice.text} == arrivals.missing(), "a new control actor says so too"
    arrivals.close()


def test_arrivals_are_told_one_after_the_other() -> None:
    """Accounts that arrive at the same moment join one by one: what is made of one never mixes with another's."""
    config = of_accounts("".join(f'[[accounts]]\nname = "{name}"\n' for name in "abcd"))
    places, told, inside = Places(away=("b", "c", "d")), Seen(), threading.Semaphore(1)
    arrivals = Arrivals(config.accounts, places.reach, lambda _: True)
    arrivals.first()

    def arrived(config: Config, _: Place) -> None:
        alone = inside.acquire(blocking=False)
        threading.Event().wait(0.1)
        inside.release()
        told.add(Notify(ts=0, severity="", event="", text="alone" if alone else "not alone", account=config.account))

    arrivals.later(arrived, lambda _, __: None)
    places.away.clear()

    assert ["alone"] * 3 == [notice.text for notice in told.wait(Notify, 3)]
    arrivals.close()


def test_one_that_cannot_join_is_missing() -> None:
    """An account that arrives and cannot be taken in is given back, and is missing for that reason from then on."""
    places, told = Places(away=("b",)), Seen()
    arrivals = Arrivals(PAPER.accounts, places.reach, lambda _: True)
    arrivals.first()

    def arrived(config: Config, _: Place) -> None:
        raise ConfigError([Problem("exchange", config.account, "it is one with a", "Look at it")])

    say = lambda config, error: told.add(Notify(ts=0, severity="", event="", text=str(error), account=config.account))  # noqa: E731
    arrivals.later(arrived, say)
    places.away.clear()

    (notice,) = told.wait(Notify)
    assert {"b": notice.text} == arrivals.missing()
    assert "it is one with a" in notice.text
    assert ["b"] == places.closed
    arrivals.close()


def test_ending_while_accounts_are_awaited() -> None:
    """Whoever ends the bot is not held up by an exchange that is away: the search ends with it."""
    places = Places(away=("b",))
    arrivals = Arrivals(PAPER.accounts, places.reach, lambda _: True)
    arrivals.first()
    arrivals.close()

    assert {"b"} == set(arrivals.missing())

"""`run`: starts the bot, shows it, and ends it in order or, at the second Ctrl-C, at once."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from typing import Any, Final, Protocol

from loguru import logger

from actors.commands.common import all_with_arguments
from actors.commands.parsing import INTERRUPTED, OK
from actors.config_file import read_config
from actors.files import Files, RunLock, refuse_foreign
from actors.logs import set_up_logs
from actors.notifying.addresses import check_addresses
from actors.screen import REFRESH_S, Screen, Snapshot, plain_line
from engine.config import make_settings
from engine.config_accounts import speaking_of
from engine.config_venue import PAPER
from engine.errors import Outage
from engine.settings import Config
from engine.strategy import StrategyFacts

PLAIN_FIRST_S: Final = 3.0
PLAIN_EVERY_S: Final = 60.0
"""How often a line says how it goes when there is no screen; the first one comes earlier."""


class ExitRequest(Protocol):
    """Why the bot is to end, and with which status."""

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str: ...


class System(Protocol):
    """A running bot, as `actors.system.build_system` returns it and this command needs it."""

    def start(self) -> None:
        """Start all actors; recovery is part of it."""

    def wait(self, timeout_s: float | None = None) -> ExitRequest | None:
        """Wait for the wish to end; None when the time is over before."""

    def request_exit(self, status: int, reason: str) -> None:
        """Make `wait` return; the first wish counts."""

    def monotonic(self) -> float:
        """The machine's clock in seconds."""

    def snapshot(self) -> Snapshot:
        """What the screen shows, without waiting for any actor."""

    def shut_down(self) -> None:
        """End in order, within the configuration's `shutdown_s`: no entries, nothing in flight, history caught up."""


def run(arguments: argparse.Namespace) -> int:
    """Run until Ctrl-C, SIGTERM, `tradepit stop`, the end of `--for`, or the root's giving up."""
    from actors.judging.facts import load_facts
    from actors.judging.loader import run_mode, surroundings_of

    config = all_with_arguments(read_config(arguments.config), arguments)
    on_screen = sys.stdout.isatty() and not arguments.no_screen
    set_up_logs(config.runtime, on_stream=not on_screen)
    facts: dict[str, StrategyFacts] = {}
    for account in config.accounts or (config,):
        with speaking_of(account.account):
            surroundings = surroundings_of(account, run_mode(account), account.trading.pairs)
            facts[account.account] = load_facts(account.strategy, surroundings)
            make_settings(account, facts[account.account])  # a mistake in it is said before anything starts
    check_addresses(config.notify)
    files = Files.beside(config.history.db)
    refuse_foreign(files)
    lock = RunLock(files.lock)
    try:
        from actors.system import build_system

        signals = _catch_signals()
        try:
            system = build_system(config, facts, files, Patience(signals, arguments.duration))
        except Outage as outage:
            logger.info("ended before anything was begun: {}", outage)
            return OK
        began = "{}{} trades {}; history {}; Ctrl-C ends in order, twice ends at once"
        for account in system.configs():
            ahead = f"{account.account}: " if account.account else ""
            logger.info(began, ahead, facts[account.account].name, _where(account), files.db)
        return _run(system, on_screen, arguments.duration, signals)
    finally:
        lock.release()


def _where(config: Config) -> str:
    name = config.exchange.name
    if config.mode == PAPER and name != PAPER:
        return f"on paper, by the prices of {name}"
    return f"on the {name} exchange"


class Patience:
    """Waits for an exchange until a signal comes, or the time of `--for` is over."""

    def __init__(self, signals: list[int], duration_s: float | None) -> None:
        self._signals = signals
        self._until = None if duration_s is None else time.monotonic() + duration_s

    def __call__(self, seconds: float) -> bool:
        """Wait; False when that was enough."""
        until = time.monotonic() + seconds
        while not self._over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, REFRESH_S))
        return not self._over()

    def _over(self) -> bool:
        return bool(self._signals) or (self._until is not None and time.monotonic() >= self._until)


def _run(system: System, on_screen: bool, duration_s: float | None, signals: list[int]) -> int:
    """Start the system, watch it, end it; the status is that of the wish to end."""
    # What is loaded by now stays for good: looking through it again would stop all threads for a tenth of a second.
    gc.collect()
    gc.freeze()
    system.start()
    screen = Screen() if on_screen else None
    try:
        wish = _watch(system, screen, duration_s, signals)
        logger.info("ending in order: {}", wish.reason)
        system.shut_down()
    finally:
        if screen is not None:
            screen.close()
    last = plain_line(system.snapshot())
    logger.info("ended in order: {}", last)
    if on_screen:
        print(f"Ended in order: {wish.reason}.\n{last}")
    return wish.status


def _watch(system: System, screen: Screen | None, duration_s: float | None, signals: list[int]) -> ExitRequest:
    """Show the bot until somebody wants it to end."""
    began = system.monotonic()
    said = began - PLAIN_EVERY_S + PLAIN_FIRST_S
    before: Snapshot | None = None
    while True:
        now = system.monotonic()
        left = None if duration_s is None else began + duration_s - now
        if left is not None and left <= 0:
            system.request_exit(0, "the time of --for is over")
        if signals:
            system.request_exit(0, f"{signal.Signals(signals[0]).name} was received")
        wish = system.wait(REFRESH_S if left is None else max(0.0, min(REFRESH_S, left)))
        if wish is not None:
            return wish
        if screen is not None:
            if not screen.show(system.snapshot()):
                screen = None
        elif now - said >= PLAIN_EVERY_S - REFRESH_S:
            snapshot = system.snapshot()  # it asks for new figures, and gives those it has: so look twice
            if now - said >= PLAIN_EVERY_S:
                logger.info(plain_line(snapshot, before))
                before, said = snapshot, now


def _catch_signals() -> list[int]:
    """The signals to come: the first asks for an orderly end, the second ends at once, as a crash does: safely.

    A handler runs in the middle of anything, with locks held; so it only notes, and `_watch` looks.
    """
    received: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if received:
            os._exit(INTERRUPTED)
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
    return received

"""Notices to a user's targets, over real sockets: what arrives, what a bad server costs, and what is on record."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.notifier import NotifierActor
from actors.notifying.addresses import addresses_of, check_addresses
from actors.notifying.sender import without
from actors.private_files import read_private
from actors.runtime import ThreadRuntime
from engine.config import parse_config
from engine.delivering import BODY_MAX, RETRY_MS, Mailbag, wants, written
from engine.errors import ConfigError, TradepitError
from engine.messages import Notify, Shutdown, ShutdownDone
from engine.settings import NotifyConfig
from tests.actors.probes import Disk, MemoryPersistence, Seen, probe


class Server:
    """A web hook of a user's: answers 200, or what `statuses` say first; hangs while `open` is not set."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Semaphore(0)
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mine.asked.release()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mine.open.wait(30)
                status = mine.statuses.pop(0) if mine.statuses else 200
                if status == 200:
                    mine.bodies.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address as Apprise has it, with a secret in it."""
        return f"json://user:hushhush@127.0.0.1:{self.port}/hook?rto=30"

    def close(self) -> None:
        """End it."""
        self.open.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for one test."""
    one = Server()
    yield one
    one.close()


@pytest.fixture
def start() -> Iterator[Callable[..., World]]:
    """Starts a notifier, and ends it after the test."""
    worlds: list[World] = []

    def make(attempts: int = 3, timeout_s: int = 20, **addresses: str) -> World:
        worlds.append(World(addresses, attempts, timeout_s))
        return worlds[-1]

    yield make
    for world in worlds:
        world.runtime.close()


def target(name: str, **more: Any) -> dict[str, Any]:
    """A target as the configuration leaves it."""
    return {"name": name, "url_env": "X", "url_file": "", "severity": "info", "events": ("*",), **more}


class World:
    """A notifier with real targets beside a journal in memory."""

    def __init__(self, addresses: dict[str, str], attempts: int, timeout_s: int) -> None:
        targets = tuple(target(name) for name in addresses)
        config = NotifyConfig(targets=targets, batch_ms=20, timeout_s=timeout_s, attempts=attempts)
        self.disk, self.seen, self.runtime = Disk(), Seen(), ThreadRuntime()
        urls = {name: [url] for name, url in addresses.items()}
        self.runtime.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        self.runtime.spawn("root", probe(self.seen))
        self.runtime.spawn("notifier", lambda ctx: NotifierActor(ctx, config=config, addresses=urls))

    def notify(self, text: str, severity: str = "info", event: str = "fill") -> None:
        """Tell the notifier."""
        self.runtime.tell("notifier", Notify(ts=0, severity=severity, event=event, text=text))

    def fates(self, count: int, timeout_s: float = 60.0) -> list[tuple[str, str, str]]:
        """(target, text, outcome) of the first `count` notices whose fate is on record."""
        until = time.monotonic() + timeout_s
        while True:
            found = [b for b in self.disk.bodies("notifier") if "target" in b]
            if len(found) >= count:
                return [(b["target"], b["text"], b["outcome"]) for b in found]
            assert time.monotonic() < until, f"{count} fates expected, there are {found}"
            time.sleep(0.02)


def test_a_notice_arrives_and_that_is_on_record(server: Server, start: Callable[..., World]) -> None:
    """What is told leaves through Apprise with its severity, and its row says that it was sent."""
    world = start(hook=server.url)
    world.notify("bought")

    assert [("hook", "bought", "sent")] == world.fates(1)
    assert [("bought", "Tradepit: fill", "info")] == [(b["message"], b["title"], b["type"]) for b in server.bodies]


def test_a_burst_is_one_message(server: Server, start: Callable[..., World]) -> None:
    """What comes while a message is on its way waits for it, and leaves as one."""
    world = start(hook=server.url)
    server.open.clear()
    world.notify("first", severity="alarm")
    assert server.asked.acquire(timeout=60)
    for number in range(15):
        world.notify(f"number {number}")
    server.open.set()

    assert 16 == len(world.fates(16))
    assert ["first", "\n".join(f"number {n}" for n in range(15))] == [b["message"] for b in server.bodies]


def test_a_failing_server_is_tried_again(server: Server, start: Callable[..., World]) -> None:
    """A 500 costs a pause, not the notice; the row says how many attempts it took."""
    server.statuses = [500]
    world = start(hook=server.url)
    world.notify("at last")

    assert [("hook", "at last", "sent")] == world.fates(1)
    assert [2] == [b["attempts"] for b in world.disk.bodies("notifier") if "target" in b]


def test_a_hanging_server_costs_only_its_own_notices(server: Server, start: Callable[..., World]) -> None:
    """While one target hangs the other hears everything, the actor answers at once, and no secret is in a reason."""
    stuck = Server()
    try:
        world = start(attempts=1, timeout_s=6, hook=server.url, stuck=stuck.url)
        world.notify("warm", severity="alarm")  # what sends has begun once this has a fate, whichever
        world.fates(2)
        while stuck.asked.acquire(blocking=False):
            pass
        stuck.open.clear()
        world.notify("one", severity="alarm")
        assert stuck.asked.acquire(timeout=60)
        world.notify("two", severity="alarm")
        fates = [fate for fate in world.fates(6) if fate[1] != "warm"]
    finally:
        stuck.close()

    assert [("hook", "one", "sent"), ("hook", "two", "sent")] == [f for f in fates if f[0] == "hook"]
    assert {"failed"} == {outcome for name, _, outcome in fates if name == "stuck"}
    assert "hushhush" not in json.dumps(world.disk.bodies("notifier"))
    assert any("no answer within 6 s" in b["reason"] for b in world.disk.bodies("notifier") if "target" in b)


def test_the_end_does_not_wait_for_a_hanging_server(server: Server, start: Callable[..., World]) -> None:
    """An orderly end sends what it can for some seconds; what is left then is on record as dropped."""
    server.open.clear()
    world = start(hook=server.url)
    world.notify("goodbye")
    world.runtime.tell("notifier", Shutdown(reply_to="root"))
    world.seen.wait(ShutdownDone, timeout_s=20)

    assert [("hook", "goodbye", "dropped")] == world.fates(1)


def notice(text: str, severity: str = "info", event: str = "fill") -> Notify:
    """A notice."""
    return Notify(ts=0, severity=severity, event=event, text=text)


def test_a_target_hears_what_it_wants() -> None:
    """Severity is a least one, events are patterns; an unknown severity counts as the worst."""
    chosen = target("x", severity="warning", events=("trade_*", "rate_limit"))

    heard = [("trade_closed", "warning"), ("rate_limit", "alarm"), ("trade_closed", "info"), ("stale", "alarm")]
    assert [True, True, False, False] == [wants(chosen, notice("", severity, event)) for event, severity in heard]
    assert wants(chosen, notice("", "odd", "rate_limit"))


def texts(held: Any) -> list[str]:
    """The texts of what a bag gave."""
    return [one.notice.text for one in held]


def test_an_alarm_does_not_wait_for_company() -> None:
    """Notices are gathered for a while; an alarm leaves at once, and takes them along."""
    bag = Mailbag(batch_ms=2_000, attempts=3, limit=10)
    bag.add(notice("a"), 0)

    assert (2_000, []) == (bag.next_at(), texts(bag.take(100)))
    bag.add(notice("b", "alarm"), 200)
    assert ["a", "b"] == texts(bag.take(200))
    assert None is bag.next_at()


def test_pauses_grow_and_end() -> None:
    """After each failure the same message waits twice as long; after the last attempt it is given up, and the next one waits."""
    bag = Mailbag(batch_ms=0, attempts=3, limit=10)
    bag.add(notice("a"), 0)
    now, pauses, given_up = 0, [], []
    for _ in range(3):
        assert ["a"] == texts(bag.take(now))
        given_up += texts(bag.failed(now))
        bag.add(notice("b", "alarm"), now)
        pauses.append((bag.next_at() or 0) - now)
        now = bag.next_at() or 0

    assert ([RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS], ["a"]) == (pauses, given_up)
    assert ["b", "b", "b"] == texts(bag.take(now))
    assert ["b", "b", "b"] == texts(bag.arrived(now))


def test_a_full_bag_drops_the_least_first() -> None:
    """Past its limit the oldest of the least severe goes: alarms are kept."""
    bag = Mailbag(batch_ms=0, attempts=3, limit=2)
    dropped = [
        bag.add(notice(text, severity), 0)
        for text, severity in [("a", "alarm"), ("b", "info"), ("c", "warning"), ("d", "warning")]
    ]

    assert [None, None, "b", "c"] == [one and one.notice.text for one in dropped]


def test_a_message_stays_short() -> None:
    """What does not fit one message waits for the next; one notice always fits."""
    bag = Mailbag(batch_ms=0, attempts=3, limit=100)
    for text in ("x" * (BODY_MAX + 5), "y" * 2_000, "z" * 2_000):
        bag.add(notice(text), 0)
    sizes = []
    while held := bag.take(0):
        sizes.append(len(written(tuple(h.notice for h in held))[2]))
        bag.arrived(0)

    assert [BODY_MAX + 5, 2_000, 2_000] == sizes


def test_reasons_hold_no_piece_of_an_address() -> None:
    """A reason that repeats a token, a password or the whole address is told without it."""
    url = "tgram://123456:ABC-token/-100200300"

    assert "*** refused ***, *** and ***" == without([url], f"{url} refused ABC-token, 123456 and -100200300")


def notify_config(text: dict[str, Any]) -> NotifyConfig:
    """`[notify]` as the configuration reads it."""
    return parse_config({"notify": {"targets": [text]}}).notify


def test_an_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable may hold several, one a line; one that is not set is refused with what to do."""
    config = notify_config({"name": "phone", "url_env": "MY_PHONE"})
    with pytest.raises(ConfigError, match=r"MY_PHONE: the environment has no such variable\. Set it: export MY_PHONE"):
        addresses_of(config)
    monkeypatch.setenv("MY_PHONE", "json://a\n# a word\njson://b\n")

    assert {"phone": ["json://a", "json://b"]} == addresses_of(config)


def test_an_address_comes_from_a_private_file(tmp_path: Path) -> None:
    """A file that others may read is refused with the command that helps; a private one is taken."""
    path = tmp_path / "address"
    path.write_text("json://localhost\n")
    path.chmod(0o644)
    config = notify_config({"name": "phone", "url_file": str(path)})
    with pytest.raises(ConfigError, match=r"holds secrets and has mode 0644\. Run: chmod 600"):
        addresses_of(config)
    path.chmod(0o600)

    assert {"phone": ["json://localhost"]} == addresses_of(config)


@pytest.mark.parametrize("what", ["missing", "folder", "binary", "large", "pipe"])
def test_what_is_no_file_of_keys_is_refused(tmp_path: Path, what: str) -> None:
    """Whatever the path leads to ends in one sentence, and reading it never waits."""
    path = tmp_path / "keys"
    if what == "folder":
        path.mkdir(mode=0o700)
    elif what == "pipe":
        os.mkfifo(path, 0o600)
    elif what != "missing":
        path.write_bytes(b"\xff\xfe" if what == "binary" else b"x" * 70_000)
        path.chmod(0o600)

    with pytest.raises(TradepitError, match=r"^\S+ (cannot be read|is no file|is not UTF-8|is larger)[^\n]*\.$"):
        read_private(path)


def test_an_unknown_address_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise looks at every address before the start; the refusal names the target and keeps the secret."""
    monkeypatch.setenv("MY_PHONE", "nonsense://hushhush")
    config = notify_config({"name": "phone", "url_env": "MY_PHONE"})
    with pytest.raises(ConfigError, match='"phone": Apprise knows no such address') as caught:
        check_addresses(config)
    monkeypatch.setenv("MY_PHONE", "json://localhost/hook")
    check_addresses(config)

    assert "hushhush" not in str(caught.value)


def test_mistakes_in_targets_are_told_all_at_once() -> None:
    """Each key that is wrong is named with a cure, and an address written into the file is not repeated."""
    targets = [
        {"name": "a b", "url": "tgram://hushhush", "severity": "loud", "events": "trade"},
        {"name": "x", "url_env": "lower-case", "evnts": []},
        {"name": "x", "url_env": "A", "url_file": "b"},
        "phone",
    ]
    with pytest.raises(ConfigError) as caught:
        parse_config({"notify": {"targets": targets}})
    said = [p.key.removeprefix("notify.targets") for p in caught.value.problems]

    assert [
        "[0].url", "[0].name", "[0].url_env", "[0].severity", "[0].events",
        "[1].evnts", "[1].url_env", "[2].url_env", "[2].name", "[3]",
    ] == said  # fmt: skip
    assert "hushhush" not in str(caught.value)
    assert all(p.cure for p in caught.value.problems)

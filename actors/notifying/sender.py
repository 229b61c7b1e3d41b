"""A process that sends notices through Apprise, and nothing else.

    python -P -m actors.notifying.sender SOCKET_FD PARENT_PID

Lines of JSON go both ways. First `{"targets": {name: [address, …]}, "timeout_s": …, "environment": {…}}`, then a
message a line, `{"number", "target", "severity", "title", "body"}`; each is answered with `{"number", "ok", "why"}`.
A message has a thread of its own: one that hangs is answered for after `timeout_s` and left behind, and with too
many left behind the process ends, to be started again. `--check` looks at the addresses on standard input only.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from actors.fencing import fence_in

LEFT_BEHIND_MAX: Final = 10
LOOK_S: Final = 0.25
NOT_INSTALLED: Final = "Apprise is not installed: pip install 'tradepit[notify]'"
UNKNOWN: Final = "Apprise knows no such address; one looks like tgram://TOKEN/CHAT or mailto://…"

_PIECES: Final = re.compile(r"[/?&=:@,\s]+")
_SECRET_MIN: Final = 6


def main() -> None:
    """Serve the bot until it is gone."""
    if sys.argv[1:] == ["--check"]:
        targets = json.load(sys.stdin)
        print(json.dumps({name: why for name, urls in targets.items() if (why := problem_of(urls))}))  # noqa: T201
        return
    fd, parent = (int(argument) for argument in sys.argv[1:3])
    fence_in(parent, 0)
    with socket.socket(fileno=fd) as line:
        Sender(line).serve()


def problem_of(urls: Sequence[str]) -> str:
    """What is wrong with a target's addresses, without a word of them; empty where nothing is."""
    try:
        import apprise
    except ImportError:
        return NOT_INSTALLED
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    if not urls:
        return "no address is there"
    known = (apprise.Apprise.instantiate(url, suppress_exceptions=True) for url in urls)
    return "" if all(one is not None for one in known) else UNKNOWN


class Overheard(logging.Handler):
    """What Apprise says of its failures, by the thread that it says it in."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last one."""
        self._said[threading.get_ident()] = record.getMessage()

    def taken(self) -> str:
        """What was said in this thread since the last call."""
        return self._said.pop(threading.get_ident(), "")


class Sender:
    """The process's work: lines in, messages out, answers back."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._open: dict[int, float] = {}
        self._left_behind = 0
        self._targets: Mapping[str, Sequence[str]] = {}
        self._timeout_s = 0.0
        self._overheard = Overheard()

    def serve(self) -> None:
        """Until the bot closes the line, or too much was left behind."""
        self._line.settimeout(LOOK_S)
        received = b""
        while self._left_behind < LEFT_BEHIND_MAX:
            try:
                data = self._line.recv(1 << 16)
                if not data:
                    return
            except TimeoutError:
                data = b""
            *lines, received = (received + data).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
            self._give_up_late()

    def _hear(self, said: Mapping[str, Any]) -> None:
        if "targets" in said:
            os.environ.update(said["environment"])
            self._targets, self._timeout_s = said["targets"], said["timeout_s"]
            log = logging.getLogger("apprise")
            log.addHandler(self._overheard)
            log.propagate = False
            return
        with self._lock:
            self._open[said["number"]] = time.monotonic() + self._timeout_s
        threading.Thread(target=self._send, args=(said,), daemon=True).start()

    def _send(self, said: Mapping[str, Any]) -> None:
        urls = self._targets[said["target"]]
        try:
            why = self._notify(urls, said)
        except BaseException as error:  # noqa: BLE001 -- a way out that fails is a value here, whatever it raises
            why = f"{type(error).__name__}: {error}"
        self._answer(said["number"], without(urls, why))

    def _notify(self, urls: Sequence[str], said: Mapping[str, Any]) -> str:
        """Send by each address; empty, or why one of them failed."""
        try:
            import apprise
        except ImportError:
            return NOT_INSTALLED
        kinds = {"info": apprise.NotifyType.INFO, "warning": apprise.NotifyType.WARNING}
        asset = apprise.AppriseAsset(app_id="Tradepit", app_desc="Tradepit", app_url="", async_mode=False)
        ways = apprise.Apprise(asset=asset)
        if not urls or not all(ways.add(url) for url in urls):
            return UNKNOWN
        kind = kinds.get(said["severity"], apprise.NotifyType.FAILURE)
        ok = ways.notify(said["body"], title=said["title"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
        return "" if ok else self._overheard.taken() or "Apprise does not say why"

    def _answer(self, number: int, why: str) -> None:
        with self._lock:
            if self._open.pop(number, None) is None:
                return  # it was answered for when its time was over
            self._line.sendall(json.dumps({"number": number, "ok": not why, "why": why}).encode() + b"\n")

    def _give_up_late(self) -> None:
        now = time.monotonic()
        for number in [number for number, until in list(self._open.items()) if now > until]:
            self._left_behind += 1
            self._answer(number, f"no answer within {self._timeout_s:g} s")


def without(urls: Sequence[str], text: str) -> str:
    """A text without any longer piece of these addresses: they hold tokens and passwords."""
    pieces = {piece for url in urls for piece in (url, *_PIECES.split(url)) if len(piece) >= _SECRET_MIN}
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, "***")
    return text[:300]


if __name__ == "__main__":
    main()

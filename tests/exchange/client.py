"""How clients get here: ccxt's options, calls of the control endpoints, and the exchange as a child process.

`python -m tests.exchange.client PORT [--futures | --bybit]` prints the line for a configuration's `[exchange]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]


def options(port: int, *, futures: bool = False) -> dict[str, Any]:
    """What is to be given to `ccxt.binance` (or set as `[exchange] options`) to point it at this server.

    Nothing else is needed. With `futures`, only swaps are loaded, and `defaultType` is the swap.
    """
    http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    urls: dict[str, Any] = {"public": f"{http}/api/v3", "private": f"{http}/api/v3", "sapi": f"{http}/sapi/v1"}
    for version in ("", "V2", "V3"):
        path = f"{http}/fapi/{version.lower() or 'v1'}"
        urls[f"fapiPublic{version}"] = urls[f"fapiPrivate{version}"] = path
    urls["ws"] = {
        "spot": f"{ws}/stream/ws",
        "linear": f"{ws}/fut/ws",
        "ws-api": {"spot": f"{ws}/ws-api/v3", "linear": f"{ws}/ws-fapi/v1"},
    }
    chosen: dict[str, Any] = {
        "fetchMarkets": {"types": ["linear" if futures else "spot"]},
        "fetchMargins": False,
        "fetchCurrencies": False,
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    }
    if futures:
        chosen["defaultType"] = "swap"
        chosen["defaultSubType"] = "linear"
    return {"urls": {"api": urls}, "options": chosen}


def bybit_options(port: int) -> dict[str, Any]:
    """The same for `ccxt.bybit`; candles of a second, which Bybit has not, are named for it."""
    http, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/v5"
    private = {"spot": {"unified": f"{ws}/private"}, "contract": f"{ws}/private"}
    urls = {"public": http, "private": http, "ws": {"public": {"spot": f"{ws}/public/spot"}, "private": private}}
    return {
        "urls": {"api": urls},
        "timeframes": {"1s": "1s"},
        "options": {"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
    }


def as_toml(value: Any) -> str:
    """An inline TOML value, for a configuration file."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(name)} = {as_toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value)


class Control:
    """Calls of the control endpoints, for tests: `control("price", symbol="BTCUSDT", price=60000)`."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}/control/"

    def __call__(self, call: str, **asking: Any) -> Any:
        """Do one call, or raise ValueError with what the exchange says is wrong with it."""
        request = urllib.request.Request(self.base + call, json.dumps(asking, default=str).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error")) from None


class Exchange:
    """The exchange as a process of its own, for a `with`: `port`, `control`, `options()`; `name`: by whose door."""

    def __init__(self, *arguments: str, futures: bool = False, port: int = 0, name: str = "binance") -> None:
        self.arguments = arguments
        self.futures = futures
        self.name = name
        self.port = port

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.exchange", "--port", str(self.port), *self.arguments]
        if self.futures:
            command.append("--futures")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.port = int(first.split()[-1])
        self.control = Control(self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def options(self, **more: Any) -> dict[str, Any]:
        """Ccxt's constructor arguments: the addresses, the key of the account `main`, no throttler."""
        made = bybit_options(self.port) if self.name == "bybit" else options(self.port, futures=self.futures)
        return {**made, "apiKey": "key", "secret": "secret", "enableRateLimit": False, **more}


if __name__ == "__main__":
    number = int(sys.argv[1])
    made = bybit_options(number) if "--bybit" in sys.argv else options(number, futures="--futures" in sys.argv)
    print("options =", as_toml(made))

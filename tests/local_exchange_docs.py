"""The page about the local exchange, generated from its faults and control calls."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Final

from tests.exchange.control import ControlPanel
from tests.exchange.faults import KINDS
from tests.exchange.world import Settings, World

LOCAL_PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "local-exchange.md"

_HEAD: Final = """# The local exchange

<!-- Written by `python -m tests.docs` from tests/exchange; do not edit by hand. -->

A server on this machine that speaks Binance's spot and USD-M futures API, and Bybit's v5 API for spot, over real sockets,
HTTP and websockets, with a ledger of its own and faults to order. The tests run whole bots against it; so can you, without
keys and without money:

```
python -m tests.exchange --pairs 50 --futures --for 3600
python -m tests.exchange.client PORT
```

The first prints its port. The second prints the line `options = {...}` for the configuration's `[exchange]`, beside
`name = "binance"`; with `--bybit` that for `name = "bybit"`. The keys are `TRADEPIT_KEY=key TRADEPIT_SECRET=secret`, of an account with 10000 USDT (`--funds`).
It listens on 127.0.0.1 only, and ends with whoever started it, or after `--for` seconds.

What it is: orders of all the types the bot sends, with Binance's filters, refusals, fees, ids, weights and order counts
(a real 429 and 418 when they are overdrawn); margin, leverage, funding, liquidation and conditional orders of futures
in one-way mode; candles, tickers and the user's events by websocket. Prices are a seeded random walk (`--still`: they
move when told). A market order fills at the best price, as far as the pair's `top` goes; a resting one at its own price
when the market gets there; a stop that is jumped at the price there is.

What it is not: a market. Nobody else trades there, the mark price is the last price, spreads are a tick. Candles of a
second exist on futures too, where Binance has none: tests need not wait a minute. Hedge mode is known and refused. With `--speed 60` its clock runs sixty times as fast, candles with it: its time is then nobody
else's, signed requests are not checked for their timestamp, while rate limits and delays go by real time.

## Bybit

A second door to the same spot market: accounts, orders, ledger, prices and faults are the same, whichever way one came.
The endpoints are those that ccxt's class asks: time, instruments, tickers, candles, book; key, account, wallet, fees;
orders created, amended and cancelled, open and recent ones (`realtime`), those that have ended (`history`), executions;
websockets for candles (with `confirm`), tickers, books, trades, and with a log-in for orders, executions and the wallet.
From Bybit's documentation are: signatures and `recvWindow`, `retCode` in answers of 200, pages with cursors (open orders 20
unless more are asked for, 50 at most; executions 100 at most), seven days at most, 500 recent orders that have ended,
20 orders and 50 reads in any second for each endpoint, 600 requests of an address in any five seconds (then 403), TP/SL
orders that lock the coins at once, `Deactivated` and `PartiallyFilledCanceled`, post-only orders that are accepted and then
cancelled.

Nobody here was sure of the following, and has chosen: a TP/SL order that triggers keeps both its ids; one whose trigger
the price has passed already is refused with 110093 (Bybit may take it for the opposite kind, which waits for the price
to come back); an order that has ended cannot be cancelled or amended, code 170213; a pair that is halted refuses with
170151; a link id is used up for ever; refusals of the key come with status 200; executions have ids that are unique for
their pair only; an id without a value is refused;
`realtime` asked by id tells orders that have ended without `openOnly`; a price may lie 5 % beyond the last
one, whatever the pair. Not built: futures, `StopOrder` (conditional orders that lock nothing), orders by websocket, books
in differences (each frame is whole), batches, `cancel-all`. Bybit has no candles of a second; here they are called `1s`.

## Control

`POST http://127.0.0.1:PORT/control/NAME` with a JSON object; `market` is `spot` or `futures`, `account` is `main`
where nothing else is said. In Python: `tests.exchange.client.Control(port)("price", symbol="BTCUSDT", price=60000)`.

| call | what it takes and does |
|---|---|
"""

_FAULTS: Final = """
## Faults

`fault` takes `kind` and any of `endpoint` (a pattern of `METHOD /path`, such as `POST /api/v3/order`), `stream` (a pattern
such as `btcusdt@kline_1m` or `user:*`), `symbol`, `side`, `type`, `probability`, `seed`, `skip` (so many first ones are left
alone), `count`, and what the kind needs. The first fault that strikes is the one; `slow` and `slow_before` come besides.

| kind | what happens |
|---|---|
"""


def local_page() -> str:
    """The text of `docs/local-exchange.md`."""
    panel = ControlPanel(World(Settings(pairs=1)))
    text = _HEAD
    for name, call in panel.calls.items():
        text += f"| `{name}` | {' '.join((inspect.getdoc(call) or '').split())} |\n"
    text += _FAULTS
    for kind, what in KINDS.items():
        text += f"| `{kind}` | {what} |\n"
    return text

"""KuCoin's two kinds of spot accounts: the one whose orders and balances are elsewhere is refused, not taken for empty."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from actors.venues.capabilities import capability
from actors.venues.ccxt import Connection
from actors.venues.live.examining import Account, examine
from engine.errors import ConfigError, Outage
from engine.settings import Config, ExchangeConfig, LiveConfig
from tests.actors.stub_server import StubServer, say, whole

EMPTY = {"code": "200000", "data": []}
LIST = {"code": "200000", "data": {"currentPage": 1, "pageSize": 500, "totalNum": 0, "totalPage": 0, "items": []}}
OPENED = "/api/v1/hf/accounts/opened"


def examined(answer: Any) -> tuple[Account, list[str]]:
    """What is found of an account that answers so to the question for its kind, and what it was asked."""
    routes = {OPENED: answer, "/api/v1/accounts": EMPTY, "/api/v1/orders": LIST, "/api/v1/stop-order": LIST}
    with StubServer({path: say(whole(told)) for path, told in routes.items()}) as server:
        places = dict.fromkeys(ccxt.kucoin().urls["api"], server.base)
        options = {"urls": {"api": places}, "options": dict(capability("kucoin").options)}
        config = Config(
            mode="live",
            exchange=ExchangeConfig(name="kucoin", options=options),
            live=LiveConfig(exchange="kucoin"),
        )
        keys = {"apiKey": "key", "secret": "secret", "password": "word"}
        connection = Connection(config.exchange, keys=keys)
        connection.start()
        try:
            for instance in (connection.data, connection.trading):
                instance.set_markets([], {})
            found = connection.spawn(examine(connection, config, (), strict=False)).result(60)
        finally:
            connection.close()
        return found, server.paths()


def test_a_high_frequency_account_is_refused_in_a_sentence() -> None:
    """Its orders and balances are on other paths: asked on ours it would look empty."""
    with pytest.raises(ConfigError, match="the account is one for high-frequency trading"):
        examined({"code": "200000", "data": True})


def test_a_plain_account_is_asked_once_what_it_is() -> None:
    """The instance with the keys is told so, and goes by the paths that are written down in tests/requests."""
    found, paths = examined({"code": "200000", "data": False})

    assert [] == found.problems
    assert 1 == paths.count(f"GET {OPENED}")
    assert {"GET /api/v1/accounts", "GET /api/v1/orders", "GET /api/v1/stop-order"} < set(paths)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": "200000", "data": None}, Outage),
        ({"code": "400003", "msg": "KC-API-KEY not exists"}, ConfigError),
    ],
)
def test_an_account_that_does_not_say_what_it_is_is_not_looked_at(answer: Any, error: type[Exception]) -> None:
    """Without a word on its kind nothing is believed of it; a refusal is told as one."""
    with pytest.raises(error):
        examined(answer)

"""ccxt is loaded for the exchange that is used, and gives what it always gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LIGHT = "import sys\nfrom actors.venues.light import import_lightly\nimport_lightly()\nimport ccxt.pro\n"


def said(code: str) -> list[str]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", LIGHT + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_one_exchange_is_loaded() -> None:
    """Its class and its parents are ccxt's own, the errors are there, and no other exchange is loaded, nor for making one."""
    code = (
        "exchange = ccxt.pro.binance()\n"
        "print(*(f'{c.__module__}.{c.__name__}' for c in type(exchange).__mro__[:2]), ccxt.NetworkError.__name__)\n"
        "print(isinstance(exchange, ccxt.pro.Exchange), issubclass(ccxt.RateLimitExceeded, ccxt.NetworkError))\n"
        "print([name for name in sys.modules if name.startswith('ccxt') and 'kraken' in name])\n"
    )
    names = ["ccxt.pro.binance.binance", "ccxt.async_support.binance.binance", "NetworkError"]
    assert [*names, "True", "True", "[]"] == said(code)


def test_it_gives_what_ccxt_gives() -> None:
    """Every exchange is the same class as in the whole package, which any other name has run; what is nowhere is missing."""
    code = (
        "from pathlib import Path\n"
        "names = [file.stem for file in Path(ccxt.pro.__path__[0]).glob('[a-z]*.py')]\n"
        "early = {name: getattr(ccxt.pro, name) for name in names}\n"
        "print(type(ccxt.pro).__name__, set(ccxt.pro.exchanges) == set(names), type(ccxt.pro).__name__)\n"
        "print(all(vars(ccxt.pro)[name] is early[name] for name in names), len(names) > 50)\n"
        "print(hasattr(ccxt.pro, 'nowhere'), hasattr(ccxt, 'nowhere'), ccxt.decimal_to_precision.__name__)\n"
    )
    expected = "_Package True module True True False False decimal_to_precision"
    assert expected.split() == said(code)

"""Loading a user's strategy: found by name or path; whatever is wrong is a sentence with file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.judging.facts import load_facts
from actors.judging.loader import load_strategy, shipped_names
from actors.judging.template import write_strategy
from engine.candles import Candles
from engine.errors import StrategyError
from engine.settings import StrategyConfig
from engine.window import check_signals

HEAD = "from engine.strategy import Signals, Strategy\n"
GOOD = HEAD + "class Mine(Strategy):\n    mine = 3\n    def signals(self, candles):\n        return Signals()\n"


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    """A strategy file with this text; its path."""
    file = folder / name
    file.write_text(text)
    return str(file)


def refused(name: str, **more: Any) -> str:
    """The sentence that a strategy is refused with."""
    with pytest.raises(StrategyError) as error:
        load_strategy(name, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_by_path_and_class(tmp_path: Path) -> None:
    """`FILE.py` takes the only strategy of a file, `FILE.py:Class` one of several; a base class elsewhere is none."""
    one = written(tmp_path, GOOD)
    two = written(tmp_path, GOOD + "class Other(Mine):\n    pass\n", "two.py")

    assert type(load_strategy(one)).__name__ == "Mine"
    assert type(load_strategy(f"{two}:Other")).__name__ == "Other"
    assert refused(two) == f"{two} has 2 strategies; say which one: two.py:Mine (or Other)"
    assert refused(f"{two}:Third") == f"{two} has no strategy class Third; it has Mine, Other"


def test_by_the_name_of_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in `strategies/` is found by its class, wherever and however it is written there; a mere mention is none."""
    folder = tmp_path / "strategies"
    folder.mkdir()
    written(folder, '"""\nclass Hidden:\nclass Late\n"""\n' + GOOD, "a.py")
    written(folder, "def broken(:\nclass Unreadable: pass\n", "b.py")
    hidden = (
        HEAD + "if True:\n    class  Hidden(Strategy):\n        def signals(self, candles):\n            return 1\n"
    )
    (folder / "c.py").write_bytes(b"\xef\xbb\xbf" + hidden.replace("\n", "\r\n").encode())
    written(folder, "from a import Mine as Late\nfrom engine.strategy import Strategy\n", "d.py")
    monkeypatch.chdir(tmp_path)

    assert type(load_strategy("Mine")).__module__ == "tradepit_user_a"
    assert type(load_strategy("Hidden")).__module__ == "tradepit_user_c"
    assert type(load_strategy("strategies/d.py:Late")).__name__ == "Mine"
    assert "b.py, line 1: invalid syntax" in refused("Unreadable")
    assert "there is no strategy called 'Late'" in refused("Late")
    assert "has no strategy class Strategy; it has none" in refused("strategies/d.py:Strategy")


def test_parameters_and_overrides(tmp_path: Path) -> None:
    """Parameters set a strategy's own attributes, overrides its settings; unknown ones are refused with the nearest."""
    file = written(tmp_path, GOOD)
    strategy = load_strategy(file, {"mine": 5}, {"stoploss": -0.2, "timeframe": "15m"})

    assert (strategy.mine, strategy.stoploss, strategy.timeframe) == (5, -0.2, "15m")  # type: ignore[attr-defined]
    assert refused(file, parameters={"mien": 1}) == f"{file}: the strategy has no parameter 'mien'; did you mean mine"
    assert "no setting 'stop_loss'; did you mean stoploss" in refused(file, overrides={"stop_loss": -0.1})


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    """A wrong name is answered with the nearest one, a wrong path with the path."""
    assert refused("ema_crss").startswith("there is no strategy called 'ema_crss'; did you mean ema_cross")
    assert refused(str(tmp_path / "none.py")) == f"there is no strategy file {tmp_path / 'none.py'}"
    assert all(load_strategy(name) for name in shipped_names())


BROKEN = [
    ("def f(:\n", r"mine\.py, line 1: invalid syntax"),
    (HEAD + "import no_such_module\n", r"mine\.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"),
    (HEAD + "\n\n1 / 0\n", r"mine\.py, line 4: ZeroDivisionError: division by zero"),
    ("import sys\nsys.exit(1)\n", r"mine\.py, line 2: sys\.exit\(\) was called"),
    (HEAD, r"mine\.py has no class derived from engine\.strategy\.Strategy"),
    (HEAD + "class Mine(Strategy):\n    pass\n", r"mine\.py, line 2: Mine: it has no method signals"),
    (GOOD + "    timeframe = '5x'\n", r"line 2: Mine: timeframe: '5x' is no timeframe"),
    (GOOD + "    startup_candles = -1\n", r"startup_candles is -1; it must be a whole number"),
    (GOOD + "    stoploss = 0.1\n", r"stoploss is 0\.1; it must be a negative ratio"),
    (GOOD + "    stoploss = 'x'\n", r"stoploss is 'x'; it must be a number"),
    (GOOD + "    trailing_stop = 1\n", r"trailing_stop is 1; it must be True or False"),
    (GOOD + "    trailing_stop_positive = -1\n", r"trailing_stop_positive is -1; it must be a ratio above 0"),
    (GOOD + "    minimal_roi = 3\n", r"minimal_roi is 3; it must be a dict"),
    (GOOD + "    minimal_roi = {'x': 'y'}\n", r"key 'x'; .* the value 'y' at 'x'"),
    (GOOD + "    order_types = None\n", r"order_types is None; it must be a dict"),
    (GOOD + "    protections = 1\n", r"protections is 1; it must be a list"),
    (
        GOOD + "    def __init__(self, p):\n        self.x = p['y']\n",
        r"Mine cannot be made: .*mine\.py, line 7: KeyError",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), BROKEN)
def test_broken_files_say_where(tmp_path: Path, text: str, sentence: str) -> None:
    """Each mistake is one sentence with the file, the line where there is one, and why."""
    assert re.search(sentence, refused(written(tmp_path, text)))


def test_a_module_beside_it_can_be_imported(tmp_path: Path) -> None:
    """A user may split a strategy over files of one folder."""
    written(tmp_path, "LEVEL = 42\n", "my_levels_of_test.py")
    file = written(tmp_path, "from my_levels_of_test import LEVEL\n" + GOOD + "    level = LEVEL\n")

    assert load_strategy(file).level == 42  # type: ignore[attr-defined]


def test_facts_come_from_another_process(tmp_path: Path) -> None:
    """Settings and callbacks come back as plain data, and the user's file was not imported in here."""
    file = written(
        tmp_path,
        "import os, sys\nprint('noise')\nos.environ['I_WAS_HERE'] = '1'\n"
        + GOOD
        + "    minimal_roi = {0: 0.1, 30: 0.05}\n    def custom_exit(self, **kwargs):\n        return None\n",
    )
    facts = load_facts(StrategyConfig(name=file, overrides={"stoploss": -0.3}))

    assert (facts.name, facts.startup_candles, facts.callbacks) == ("Mine", 0, ("custom_exit",))
    assert (facts.settings["minimal_roi"], facts.settings["stoploss"]) == ({"0": 0.1, "30": 0.05}, -0.3)
    import os

    assert "I_WAS_HERE" not in os.environ


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("while True: pass\n", "took longer than 1 s to load"),
        ("import os\nos._exit(9)\n", "ended its process, it ended with status 9"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "it was ended by SIGSEGV"),
        ("x = bytearray(1 << 33)\n", "line 1: MemoryError"),
        (GOOD + "    protections = [{'a': object()}]\n", "not JSON serializable|not serializable|object"),
    ],
)
def test_facts_survive_any_file(tmp_path: Path, text: str, sentence: str) -> None:
    """A file that hangs, ends the process, or takes all memory is a sentence within the time limit."""
    with pytest.raises(StrategyError, match=sentence):
        load_facts(StrategyConfig(name=written(tmp_path, text)), limit_s=1 if "while" in text else 60)


def test_the_template_works(tmp_path: Path) -> None:
    """What `new-strategy` writes loads, signals and passes the linter's basics; it never overwrites."""
    file = write_strategy("my_idea", tmp_path / "strategies")
    strategy = load_strategy(str(file))
    random = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(random.normal(0.0005, 0.004, 3_000)))
    candles = Candles(
        pair="A/B",
        timeframe="1m",
        ts=np.arange(3_000) * 60_000,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones(3_000),
    )

    assert (type(strategy).__name__, strategy.defined_callbacks()) == ("MyIdea", ("custom_exit",))
    assert check_signals(strategy.signals(candles), 3_000).enter_long.any()
    with pytest.raises(StrategyError, match="exists already, and is left as it is"):
        write_strategy(str(file))


@pytest.mark.parametrize("name", ["class", "my idea", "3x", "../up", "a.b"])
def test_names_that_no_module_can_have(tmp_path: Path, name: str) -> None:
    """A strategy's name must be a Python module's; nothing is written otherwise."""
    with pytest.raises(StrategyError, match="cannot name a strategy"):
        write_strategy(name, tmp_path)
    assert list(tmp_path.iterdir()) == []

"""Finding and loading a user's strategy; whatever is wrong with it is one sentence with file and line."""

from __future__ import annotations

import ast
import copy
import difflib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import strategies
from actors.judging.foreign import make_ready
from actors.judging.light import import_lightly
from actors.judging.optimised import file_beside, read_optimised
from engine.candles import Candles, timeframe_ms
from engine.errors import StrategyError
from engine.settings import Config
from engine.strategy import SETTINGS, CandleSource, Strategy, Surroundings

OVERRIDABLE: Final = (*SETTINGS, "timeframe", "startup_candles")

SHIPPED: Final = ("breakout", "ema_cross", "sample")

_BASES: Final = ("engine.", "strategies.compat.")
"""Where the classes are that strategies are derived from."""

_NUMBERS: Final = (
    "stoploss",
    "trailing_stop_positive_offset",
    "exit_profit_offset",
    "max_entry_position_adjustment",
    "ignore_buying_expired_candle_after",
)
_SWITCHES: Final = (
    "trailing_stop",
    "trailing_only_offset_is_reached",
    "use_exit_signal",
    "exit_profit_only",
    "ignore_roi_if_entry_signal",
    "use_custom_stoploss",
    "use_custom_roi",
    "can_short",
    "position_adjustment_enable",
)


def strategy_folders() -> tuple[Path, ...]:
    """Where a strategy given by name is looked for: `strategies/` of the working directory, then the shipped ones."""
    return (Path("strategies").resolve(), *(Path(path).resolve() for path in strategies.__path__))


def shipped_names() -> list[str]:
    """The names that `[strategy] name` may have without being a path."""
    return sorted({file.stem for folder in strategy_folders() for file in folder.glob("*.py") if file.stem[0] != "_"})


def is_shipped(file: Path) -> bool:
    """Whether a strategy's file is one of those that come with Tradepit, which are nobody's to change."""
    return file.stem in SHIPPED and file.parent in {Path(path).resolve() for path in strategies.__path__}


def load_strategy(
    name: str, parameters: Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None
) -> Strategy:
    """One instance of the strategy called `name`: a shipped name, `FILE.py`, or `FILE.py:Class`.

    `parameters` go to its constructor, `overrides` replace its settings afterwards.

    Raises:
        StrategyError: not found, does not import, or has settings that cannot be; the text says
            which file and line, and why. User code runs here, so anything else may happen too.
    """
    return StrategyMaker(name, parameters or {}, overrides or {}).make()


class StrategyMaker:
    """Loads a strategy's file once and makes any number of instances of its class: one for each pair."""

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        overrides: Mapping[str, Any],
        surroundings: Surroundings | None = None,
    ) -> None:
        """`surroundings` are the run's; without any a strategy learns nothing of it."""
        self._file, wanted = find_file(name)
        self._surroundings = surroundings or Surroundings()
        self._only: Strategy | None = None
        module = import_file(self._file)
        self._class = choose_class(module, self._file, wanted)
        own = [n for n in dir(self._class) if n[0] != "_"]
        _check_names("parameter", parameters, own, self._file)
        _check_names("setting", overrides, OVERRIDABLE, self._file)
        optimised = read_optimised(self._file, self._class.__name__)
        _check_names("parameter", optimised.parameters, own, file_beside(self._file))
        loaded = {n: v for n, v in optimised.parameters.items() if getattr(getattr(self._class, n), "load", True)}
        self._parameters = {**loaded, **parameters}
        self._overrides = {**optimised.settings, **overrides}
        check_settings(self.make(), self._file)

    def make(self) -> Strategy:
        """A new instance, which shares nothing with the others but what its author made global.

        Of a strategy that wants to be one for all pairs there is one.
        """
        if self._only is not None:
            return self._only
        try:
            strategy = self._class.made(dict(self._parameters), self._surroundings)
        except (Exception, SystemExit) as error:
            raise StrategyError(f"{self._class.__name__} cannot be made: {where(error, self._file)}") from error
        for setting, value in self._overrides.items():
            setattr(strategy, setting, value)
        if strategy.one_for_all:
            self._only = strategy
        return strategy

    def fresh(self) -> StrategyMaker:
        """The same, having judged nothing yet, also of a strategy that is one for all pairs."""
        return self.with_values({}, {})

    def signals(self, candles: Candles) -> object:
        """What a new instance answers for `candles`, as it is.

        Raises:
            StrategyError: the user's code raised whatever it did, or would end the process; with file and line.
        """
        try:
            return self.make().signals(candles)
        except StrategyError:
            raise
        except (Exception, SystemExit) as error:
            raise StrategyError(self.explain(error)) from error

    def use_candles(self, candles: CandleSource) -> None:
        """Let strategies made from here on ask these candles of other pairs and timeframes."""
        self._surroundings = replace(self._surroundings, candles=candles)
        self._only = None

    @property
    def surroundings(self) -> Surroundings:
        """What its strategies may know of the run."""
        return self._surroundings

    @property
    def file(self) -> Path:
        """The file that the strategy is in."""
        return self._file

    def with_values(self, parameters: Mapping[str, Any], overrides: Mapping[str, Any]) -> StrategyMaker:
        """The same strategy with these values over its own; its file is not run again."""
        twin = copy.copy(self)
        twin._only = None  # noqa: SLF001 -- a twin of our own
        twin._parameters = {**self._parameters, **parameters}  # noqa: SLF001 -- as above
        twin._overrides = {**self._overrides, **overrides}  # noqa: SLF001 -- as above
        return twin

    def explain(self, error: BaseException) -> str:
        """What went wrong in the user's code, in a sentence with file and line."""
        return where(error, self._file)


def run_mode(config: Config) -> str:
    """What a running bot's strategy is told it runs as, in Freqtrade's words."""
    return "live" if config.mode == "live" else "dry_run"


def surroundings_of(config: Config, mode: str, pairs: Sequence[str]) -> Surroundings:
    """What the strategy of a run by `config` may know of it."""
    trading, paper = config.trading, config.paper
    return Surroundings(
        mode=mode,
        pairs=tuple(pairs),
        stake_currency=trading.stake_currency,
        stake_amount=None if isinstance(trading.stake_amount, str) else float(trading.stake_amount),
        max_open_trades=trading.max_open_trades,
        tradable_balance_ratio=float(trading.tradable_balance_ratio),
        wallet=float(paper.wallet),
        fee=float(max(paper.maker_fee, paper.taker_fee)),
        exchange=config.exchange.name,
    )


def find_file(name: str) -> tuple[Path, str]:
    """The file that `name` means, and the class asked for (empty: the only one)."""
    path, colon, wanted = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        path, wanted = name, ""
    if path.endswith(".py"):
        file = Path(path).expanduser().resolve()
        if not file.is_file():
            raise StrategyError(f"there is no strategy file {file}")
        return file, wanted
    if re.fullmatch(r"[A-Za-z]\w*", path):
        for folder in strategy_folders():
            if (folder / f"{path}.py").is_file():
                return folder / f"{path}.py", wanted
        for folder in strategy_folders():
            found = _file_with_class(folder, path)
            if found is not None:
                return found, path
    known = shipped_names()
    near = difflib.get_close_matches(path, known, n=1)
    hint = f"did you mean {near[0]}" if near else f"there are {', '.join(known)}"
    raise StrategyError(f"there is no strategy called {path!r}; {hint}, or give the path of a .py file")


def _file_with_class(folder: Path, name: str) -> Path | None:
    """The file of a folder that defines a class called `name`, as users of Freqtrade name their strategies.

    Where none does, one that cannot be read as Python may: loading it says what is wrong with it.
    """
    unreadable = None
    for file in sorted(folder.glob("*.py")):
        text = file.read_bytes()
        if name.encode() not in text:
            continue
        try:
            nodes = ast.walk(ast.parse(text))
        except (SyntaxError, ValueError):
            unreadable = unreadable or file
        else:
            if any(isinstance(node, ast.ClassDef) and node.name == name for node in nodes):
                return file
    return unreadable


def import_file(file: Path) -> ModuleType:
    """Run a strategy's file as a module of its own; modules beside it can be imported by it."""
    make_ready(file)
    spec = importlib.util.spec_from_file_location(f"tradepit_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{file} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    import_lightly()
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise StrategyError(f"{error.filename or file}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise StrategyError(where(error, file)) from error
    return module


def choose_class(module: ModuleType, file: Path, wanted: str) -> type[Strategy]:
    """The strategy class of a module: the one asked for, else the only one defined there."""
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    }
    if wanted:
        imported = vars(module).get(wanted)
        if isinstance(imported, type) and issubclass(imported, Strategy) and not imported.__module__.startswith(_BASES):
            return imported
        if wanted not in own:
            raise StrategyError(f"{file} has no strategy class {wanted}; it has {', '.join(own) or 'none'}")
        return own[wanted]
    if not own:
        raise StrategyError(f"{file} has no class derived from engine.strategy.Strategy")
    if len(own) > 1:
        first = next(iter(own))
        raise StrategyError(
            f"{file} has {len(own)} strategies; say which one: {file.name}:{first} (or {', '.join(list(own)[1:])})"
        )
    return next(iter(own.values()))


def check_settings(strategy: Strategy, file: Path) -> None:
    """Refuse settings that the engine could not go by; all that is wrong, in one sentence each."""
    wrong = list(_wrong_settings(strategy))
    if not wrong:
        return
    line = _class_line(type(strategy))
    raise StrategyError(f"{file}, line {line}: {type(strategy).__name__}: " + "; ".join(wrong))


def _wrong_settings(strategy: Any) -> Iterable[str]:
    if type(strategy).signals is Strategy.signals:
        yield "it has no method signals(self, candles)"
    try:
        timeframe_ms(str(strategy.timeframe))
    except ValueError as error:
        yield f"timeframe: {error}"
    if type(strategy.startup_candles) is not int or strategy.startup_candles < 0:
        yield f"startup_candles is {strategy.startup_candles!r}; it must be a whole number, 0 or more"
    for name in _NUMBERS:
        if not _is_number(getattr(strategy, name)):
            yield f"{name} is {getattr(strategy, name)!r}; it must be a number"
    for name in _SWITCHES:
        if not isinstance(getattr(strategy, name), bool):
            yield f"{name} is {getattr(strategy, name)!r}; it must be True or False"
    if _is_number(strategy.stoploss) and not -1.0 <= strategy.stoploss < 0:
        yield f"stoploss is {strategy.stoploss}; it must be a negative ratio, such as -0.05 for 5 %"
    positive = strategy.trailing_stop_positive
    if positive is not None and not (_is_number(positive) and positive > 0):
        yield f"trailing_stop_positive is {positive!r}; it must be a ratio above 0, or None"
    yield from _wrong_roi(strategy.minimal_roi)
    for name in ("order_types", "order_time_in_force"):
        if not isinstance(getattr(strategy, name), Mapping):
            yield f"{name} is {getattr(strategy, name)!r}; it must be a dict"
    if not isinstance(strategy.protections, list | tuple):
        yield f"protections is {strategy.protections!r}; it must be a list of dicts"


def _wrong_roi(roi: object) -> Iterable[str]:
    if not isinstance(roi, Mapping):
        yield f'minimal_roi is {roi!r}; it must be a dict of minutes and ratios, such as {{"0": 0.02}}'
        return
    for minutes, ratio in roi.items():
        if not str(minutes).isdigit():
            yield f"minimal_roi has the key {minutes!r}; it must be a number of minutes"
        if not _is_number(ratio):
            yield f"minimal_roi has the value {ratio!r} at {minutes!r}; it must be a ratio"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 -- no NaN


def _check_names(what: str, given: Mapping[str, Any], known: Iterable[str], file: Path) -> None:
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}" if near else ""
            raise StrategyError(f"{file}: the strategy has no {what} {name!r}{hint}")


def _class_line(cls: type) -> int:
    try:
        return inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return 1


def where(error: BaseException, file: Path) -> str:
    """`error` in one sentence: the deepest line of the user's own file that it came through, its type and text."""
    kind = type(error).__name__
    text = " ".join(str(error).split())[:300]
    said = "sys.exit() was called" if isinstance(error, SystemExit) else f"{kind}: {text}" if text else kind
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == file.parent:
            return f"{frame.filename}, line {frame.lineno}: {said}"
    return said

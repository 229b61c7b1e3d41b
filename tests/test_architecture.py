"""The structure of design.md "Layout", held by the imports that the source really has."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import engine.messages

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = ("engine", "actors", "strategies")

IMPURE: Final = frozenset(
    {
        "asyncio", "concurrent", "ctypes", "fcntl", "glob", "http", "io", "logging", "mmap", "multiprocessing", "os",
        "pathlib", "pickle", "queue", "random", "resource", "sched", "secrets", "select", "selectors", "shelve",
        "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib",
        "uuid", "weakref",
    }
)  # fmt: skip
"""Parts of the standard library by which a clock, a thread, a file, the network or chance could come in."""

HEAVY: Final = frozenset({"duckdb", "pyarrow", "ccxt", "pandas", "talib", "rich", "plotly", "apprise"})
"""Libraries that the trading process must not load: it stays small."""

THREADS: Final = frozenset(
    {
        "actors.base",
        "actors.host",
        "actors.runtime",
        "actors.sim",
        "actors.processes",
        "actors.sockets",
        "actors.journal",
        "actors.arrivals",
        "actors.venues.ccxt",
        "actors.venues.live.market",
        "actors.venues.live.permits",
        "actors.venues.live.on_paper",
    }
)
"""Who may know pykka and threads; the journal for a lock against a hung predecessor's commit, ccxt for its loop's thread.

Arrivals reach each account's exchange in a thread, before there are actors.

Live market data is where that thread meets the feed's."""

COMPAT: Final = "strategies.compat"
"""Freqtrade's interface for strategies: pandas is its language."""

CHILDREN: Final = (
    "actors.history",
    "actors.judging.worker",
    "actors.judging.facts",
    "actors.notifying.sender",
    "actors.batch",
    "actors.drawing",
)
"""Modules that run in processes of their own, or without a bot."""


class Import(NamedTuple):
    """One import statement's target; `lazy` ones are inside a function."""

    module: str
    lazy: bool
    line: int


@cache
def sources() -> dict[str, Path]:
    """Every module of the product and its file."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {_module_of(file): file for file in sorted(files) if "__pycache__" not in file.parts}


def _module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """What a module imports; what only type checkers see is left out."""
    tree = ast.parse(sources()[module].read_text(encoding="utf-8"))
    return tuple(_walk(tree, lazy=False))


def _walk(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, lazy, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where a thing comes from"
            origin = child.module or ""
            for alias in child.names:
                whole = f"{origin}.{alias.name}"
                yield Import(whole if whole in sources() else origin, lazy, child.lineno)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, lazy=lazy or inside)


def _root(module: str) -> str:
    return module.partition(".")[0]


def _offenders(allowed: frozenset[str] | tuple[str, ...], libraries: frozenset[str]) -> list[str]:
    return [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if not module.startswith(tuple(allowed))
        for imported in imports_of(module)
        if _root(imported.module) in libraries
    ]


def test_engine_is_pure() -> None:
    """engine/ imports the standard library's pure parts, numpy and itself."""
    allowed = (set(sys.stdlib_module_names) - IMPURE) | {"numpy", "engine"}
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if _root(module) == "engine"
        for imported in imports_of(module)
        if _root(imported.module) not in allowed
    ]

    assert [] == wrong


def test_engine_reads_no_clock_and_writes_nothing() -> None:
    """engine/ neither opens files, nor prints, nor asks datetime or numpy for the time or for chance."""
    wrong = []
    for module, file in sources().items():
        if _root(module) != "engine":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"open", "print", "input"}
            ):
                wrong.append(f"{module}:{node.lineno} calls {node.func.id}")
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                if name in {
                    "datetime.now",
                    "datetime.utcnow",
                    "datetime.today",
                    "date.today",
                    "np.random",
                    "numpy.random",
                }:
                    wrong.append(f"{module}:{node.lineno} uses {name}")

    assert [] == wrong


def test_engine_knows_no_mode() -> None:
    """Neither the engine nor the pair's actor asks whether a run is live, paper or a backtest."""
    files = [f for m, f in sources().items() if _root(m) == "engine" or m == "actors.pair"]
    words = ("dry_run", "is_live", "is_backtest")
    wrong = []
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        wrong += [f"{file.name}: {word}" for word in words if word in names]

    assert [] == wrong


def test_only_the_runtimes_know_threads() -> None:
    """Pykka and threading are imported by base, the runtimes, child processes' pipes and the control socket only."""
    assert [] == _offenders(
        (*THREADS, "actors.history", "actors.judging.worker", "actors.notifying.sender"),
        frozenset({"pykka", "threading"}),
    )


def test_nobody_uses_multiprocessing_or_asyncio() -> None:
    """Processes are started by our own hand, and there is one kind of concurrency: actors; trials are no actors.

    ccxt speaks asyncio: what runs on its loop stays in actors/venues, behind ports that know nothing of it.
    """
    allowed = ("actors.batch.optimising.pool", "actors.venues.ccxt", "actors.venues.live")
    assert [] == _offenders(allowed, frozenset({"multiprocessing", "asyncio", "concurrent"}))


def test_duckdb_stays_in_the_history() -> None:
    """Only actors/history imports duckdb: SQL inside the trading process cannot be bounded."""
    assert [] == _offenders(("actors.history",), frozenset({"duckdb"}))


def test_ccxt_stays_in_its_venue() -> None:
    """Only actors/venues/ccxt.py may import ccxt."""
    assert [] == _offenders(("actors.venues.ccxt",), frozenset({"ccxt"}))


def test_heavy_libraries_stay_out_of_the_trading_process() -> None:
    """What the composition root and `run` load at once does not reach a heavy library."""
    seen: set[str] = set()
    todo = [m for m in ("actors.system", "actors.commands.run", "actors.cli") if m in sources()]
    wrong = []
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for imported in imports_of(module):
            if imported.lazy:
                continue
            if _root(imported.module) in HEAVY:
                wrong.append(f"{module}:{imported.line} imports {imported.module}")
            todo += [m for m in _with_parents(imported.module) if m in sources()]

    assert [] == wrong


def test_heavy_libraries_are_imported_where_they_belong() -> None:
    """No module of actors/ but those of other processes loads a heavy library when it is imported."""
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if _root(module) == "actors" and not module.startswith((*CHILDREN, "actors.venues.ccxt"))
        for imported in imports_of(module)
        if not imported.lazy and _root(imported.module) in HEAVY
    ]

    assert [] == wrong


def test_strategies_import_what_an_author_needs_to_know() -> None:
    """strategies/ imports engine.strategy, engine.candles, numpy, TA-Lib and a little of the standard library."""
    allowed = {"engine.strategy", "engine.candles", "numpy", "talib", "typing", "math", "collections.abc", "__future__"}
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if _root(module) == "strategies" and not module.startswith(COMPAT)
        for imported in imports_of(module)
        if imported.module not in allowed
    ]

    assert [] == wrong


def test_freqtrade_interface_is_pure_but_for_its_import_hook() -> None:
    """strategies/compat imports pandas, numpy, the standard library's pure parts, and the engine that authors know."""
    engine = {"engine.strategy", "engine.candles", "engine.parameters"}
    allowed = (set(sys.stdlib_module_names) - IMPURE) | {"numpy", "pandas"}
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if module.startswith(COMPAT)
        for imported in imports_of(module)
        if _root(imported.module) not in allowed
        and imported.module not in engine
        and imported.module != "engine"
        and not imported.module.startswith(COMPAT)
    ]

    assert [] == wrong


def test_pandas_stays_in_the_freqtrade_interface() -> None:
    """Only strategies/compat imports pandas: native strategies run without it."""
    assert [] == _offenders((COMPAT,), frozenset({"pandas"}))


def test_directions_of_imports() -> None:
    """`strategies → engine ← actors`; the product never imports its tests."""
    forbidden = {"engine": {"actors", "strategies", "tests"}, "actors": {"tests"}, "strategies": {"actors", "tests"}}
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        for imported in imports_of(module)
        if _root(imported.module) in forbidden[_root(module)]
    ]

    assert [] == wrong


def test_actors_do_not_import_one_another() -> None:
    """Actors share messages; only the composition root, jobs and tests know several of them."""
    actors = {m for m, file in sources().items() if _root(m) == "actors" and "(EngineActor)" in file.read_text()}
    knows_all = ("actors.system", "actors.cast", "actors.batch", "actors.commands")
    wrong = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sorted(actors)
        if not module.startswith(knows_all)
        for imported in imports_of(module)
        if imported.module in actors - {module}
    ]

    assert [] == wrong


def test_messages_have_one_import_surface() -> None:
    """Every message is told of in `engine.messages`, and nobody outside imports from the modules behind it."""
    behind = {m: f for m, f in sources().items() if m.startswith("engine.messages.")}
    public = {
        name.name
        for file in behind.values()
        for name in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(name, ast.ClassDef)
    }
    around = [
        f"{module}:{imported.line} imports {imported.module}"
        for module in sources()
        if not module.startswith("engine.messages")
        for imported in imports_of(module)
        if imported.module in behind
    ]

    assert public <= set(engine.messages.__all__)
    assert [] == around


def test_no_import_cycles() -> None:
    """No module reaches itself by imports, those inside functions included."""
    graph = {
        module: sorted({i.module for i in imports_of(module) if i.module in sources() and i.module != module})
        for module in sources()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for target in graph[module]:
            if cycle := visit(target, (*path, module)):
                return cycle
        done.add(module)
        return []

    cycles = [" → ".join(found) for module in graph if (found := visit(module, ()))]

    assert [] == cycles


def test_packages_are_listed() -> None:
    """pyproject.toml lists every package of the product, so an installed copy is whole."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {".".join(f.parent.relative_to(ROOT).parts) for p in PACKAGES for f in (ROOT / p).rglob("*.py")}

    assert sorted(folders) == sorted(project["tool"]["setuptools"]["packages"])


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]

"""Which strategies of a folder load, found out without running them in the asker's process.

    python -P -m actors.judging.survey PARENT_PID      (the files come on standard input, as a JSON list)

One process serves the whole folder, so that pandas is imported once; each file is loaded in a fork of it,
so that one which hangs, ends its process or changes something global hurts no other.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from actors.fencing import fence_in
from actors.judging.foreign import is_foreign
from actors.judging.loader import StrategyMaker, import_file
from actors.processes import child_environment, python_command
from engine.errors import StrategyError
from engine.strategy import Strategy, facts_of

LIMIT_S: Final = 20
MEMORY_MB: Final = 4_096
_BASES: Final = {"IStrategy": "freqtrade", "Strategy": "native", "IHyperOpt": "hyperopt", "IHyperOptLoss": "hyperopt"}
_HYPEROPT: Final = "hyperopt"


class Surveyed(NamedTuple):
    """One class of a file. `kind` is native, freqtrade or hyperopt; `lacks` is empty where it loads."""

    file: str
    name: str
    kind: str
    timeframe: str = ""
    callbacks: tuple[str, ...] = ()
    lacks: str = ""


def survey(folder: Path) -> list[Surveyed]:
    """Every strategy class in the Python files under `folder`, in the order of their files.

    Raises:
        StrategyError: there is no such folder.
    """
    if not folder.is_dir():
        raise StrategyError(f"there is no folder {folder}")
    files = sorted(file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)
    done = subprocess.run(  # noqa: S603 -- our own interpreter and module
        python_command("actors.judging.survey", str(os.getpid())),
        input=orjson.dumps([str(file.resolve()) for file in files]),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what the files print when they are loaded
        env=child_environment(),
        check=False,
    )
    rows = (orjson.loads(line) for line in done.stdout.splitlines())
    return [Surveyed(**{**row, "callbacks": tuple(row["callbacks"])}) for row in rows]


def classes_in(text: bytes) -> dict[str, str]:
    """The classes that a file's text says are strategies, and their kind."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return {}
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            kinds = [_BASES.get(base) or found.get(base) for base in bases]
            kind = next((kind for kind in kinds if kind), "")
            if kind:
                found[node.name] = kind
    return found


def look_at(file: Path) -> list[Surveyed]:
    """Load one file and each strategy class in it; user code runs here."""
    stated = classes_in(file.read_bytes())
    try:
        module = import_file(file)
    except StrategyError as error:
        return [Surveyed(str(file), name, kind, lacks=str(error)) for name, kind in stated.items()]
    own = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    }
    others = [Surveyed(str(file), name, kind) for name, kind in stated.items() if kind == _HYPEROPT]
    return [*(_loaded(file, name, stated.get(name, "native")) for name in own), *others]


def _loaded(file: Path, name: str, kind: str) -> Surveyed:
    try:
        facts = facts_of(StrategyMaker(f"{file}:{name}", {}, {}).make())
    except StrategyError as error:
        return Surveyed(str(file), name, kind, lacks=str(error))
    return Surveyed(str(file), name, kind, facts.timeframe, facts.callbacks)


def in_a_fork(file: Path) -> Iterator[bytes]:
    """The lines about one file, from a process that may end as it likes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        signal.alarm(LIMIT_S)
        try:
            said = b"".join(_line(found) for found in look_at(file))
        except BaseException as error:  # noqa: BLE001 -- a user's code may raise anything
            said = b"".join(_failed(file, f"{type(error).__name__}: {error}"))
        with os.fdopen(writer, "wb") as out:
            out.write(said)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == -signal.SIGALRM:
        yield from _failed(file, f"it took longer than {LIMIT_S} s to load")
    elif status:
        yield from _failed(file, f"it ended its process with {status}")
    else:
        yield text


def _failed(file: Path, why: str) -> Iterator[bytes]:
    for name, kind in classes_in(file.read_bytes()).items():
        yield _line(Surveyed(str(file), name, kind, lacks=f"{file}: {why}"))


def _line(found: Surveyed) -> bytes:
    return orjson.dumps(found._asdict()) + b"\n"


def main(arguments: Sequence[str]) -> None:
    """Say a line of JSON for each class; what the files print goes nowhere."""
    answer = os.dup(1)
    os.dup2(2, 1)
    files = [Path(name) for name in orjson.loads(sys.stdin.buffer.read())]
    fence_in(int(arguments[0]), MEMORY_MB)
    _warm_up(files)
    for file in files:
        for line in in_a_fork(file):
            os.write(answer, line)


def _warm_up(files: Iterable[Path]) -> None:
    """Import what most files will want once, for all forks."""
    for file in files:
        try:
            foreign = is_foreign(ast.parse(file.read_bytes()))
        except SyntaxError:
            continue
        if foreign:
            try:
                import strategies.compat.interface  # noqa: F401 -- pandas is what takes the time
            except ImportError:
                return
            return


def rows_of(found: Iterable[Surveyed]) -> list[dict[str, Any]]:
    """As plain data, for `--json`."""
    return [{**row._asdict(), "loads": not row.lacks} for row in found]


if __name__ == "__main__":
    main(sys.argv[1:])

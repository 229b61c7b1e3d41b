"""What the engine must know of a strategy before anything starts, found out in a process of its own.

    python -P -m actors.judging.facts PARENT_PID      (its orders come on standard input, as JSON)

The bot never imports a user's file: importing it is running it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, Final

import orjson

from actors.fencing import fence_in
from actors.judging.loader import StrategyMaker
from actors.processes import child_environment, ending, python_command
from engine.errors import StrategyError
from engine.settings import StrategyConfig
from engine.strategy import StrategyFacts, Surroundings, facts_of, heard, told

LIMIT_S: Final = 30.0
"""Some 0.3 s are usual; a machine that starts many things at once must not keep a bot from its positions."""


def load_facts(
    config: StrategyConfig, surroundings: Surroundings | None = None, *, limit_s: float = LIMIT_S
) -> StrategyFacts:
    """The settings and callbacks of the strategy that `config` names, with its parameters and overrides.

    Takes the time of starting Python and importing the file, some 0.3 s. Needs no actor.

    Raises:
        StrategyError: it cannot be loaded, ends the process, or takes longer than `limit_s`; a sentence.
    """
    orders = {
        "name": config.name,
        "parameters": dict(config.parameters),
        "overrides": dict(config.overrides),
        "memory_mb": config.memory_mb,
        "surroundings": told(surroundings or Surroundings()),
    }
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and module
            python_command("actors.judging.facts", str(os.getpid())),
            input=orjson.dumps(orders, default=float),
            capture_output=True,
            env=child_environment(),
            timeout=limit_s,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StrategyError(f"the strategy {config.name} took longer than {limit_s:g} s to load") from None
    try:
        said = orjson.loads(done.stdout)
    except orjson.JSONDecodeError:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        last = f": {lines[-1][:300]}" if lines else ""
        raise StrategyError(f"the strategy {config.name} ended its process, {ending(done.returncode)}{last}") from None
    if "error" in said:
        raise StrategyError(said["error"])
    return StrategyFacts(**{**said, "callbacks": tuple(said["callbacks"]), "other_pairs": tuple(said["other_pairs"])})


def main(arguments: list[str]) -> None:
    """Load the strategy and say its facts on standard output; what the user prints goes to standard error."""
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    orders: dict[str, Any] = orjson.loads(sys.stdin.buffer.read())
    fence_in(int(arguments[0]), orders["memory_mb"])
    try:
        strategy = StrategyMaker(
            orders["name"], orders["parameters"], orders["overrides"], heard(orders["surroundings"])
        ).make()
        answer = orjson.dumps(
            facts_of(strategy), default=float, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
        )
    except (StrategyError, TypeError) as error:
        answer = orjson.dumps({"error": str(error)})
    except MemoryError:
        answer = orjson.dumps({"error": f"the strategy {orders['name']} needs more memory than memory_mb allows"})
    os.write(answer_fd, answer)
    # Threads that the file may have started are no reason to stay.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])

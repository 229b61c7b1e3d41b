"""Where the addresses of `[notify]` come from: the environment, or a file that only its owner may read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from actors.notifying.sender import NOT_INSTALLED
from actors.private_files import read_private
from actors.processes import child_environment, python_command
from engine.errors import ConfigError, Problem, TradepitError
from engine.settings import NotifyConfig


def addresses_of(config: NotifyConfig) -> dict[str, list[str]]:
    """The addresses of each target, by its name; none of them is in any text that this raises.

    Raises:
        ConfigError: an address is missing, or its file may be read by others.
    """
    problems: list[Problem] = []
    found = {}
    for number, target in enumerate(config.targets):
        place = f"notify.targets[{number}]"
        text = _address_of(target, place, problems)
        urls = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if text and not urls:
            problems.append(Problem(place, "", "no address is there", "Write one a line"))
        found[str(target["name"])] = urls
    if problems:
        raise ConfigError(problems)
    return found


def _address_of(target: Mapping[str, Any], place: str, problems: list[Problem]) -> str:
    if target["url_env"]:
        text = os.environ.get(target["url_env"], "")
        if not text.strip():
            cure = f"Set it: export {target['url_env']}=…"
            problems.append(
                Problem(f"{place}.url_env", target["url_env"], "the environment has no such variable", cure)
            )
            return ""
        return text
    try:
        return read_private(target["url_file"]) or "\n"
    except TradepitError as error:
        why, _, cure = str(error).partition(". ")
        cure = cure or "Give the path of a file with the address in it"
        problems.append(Problem(f"{place}.url_file", "", why.rstrip("."), cure))
        return ""


def check_addresses(config: NotifyConfig) -> None:
    """Have Apprise look at the addresses, in a process of its own, since it is large; nothing is sent.

    Raises:
        ConfigError: an address is missing or is none that Apprise knows; or Apprise is not installed.
    """
    addresses = addresses_of(config)
    if not addresses:
        return
    done = subprocess.run(  # noqa: S603 -- our own interpreter and module
        python_command("actors.notifying.sender", "--check"),
        input=json.dumps(addresses).encode(),
        capture_output=True,
        env=child_environment(),
        timeout=60,
        check=False,
    )
    said: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else dict.fromkeys(addresses, "it failed")
    problems = []
    for name, why in said.items():
        what, _, cure = why.partition("; " if why != NOT_INSTALLED else ": ")
        problems.append(Problem(f'notify.targets "{name}"', "", what, cure or "Look at its address"))
    if problems:
        raise ConfigError(problems)

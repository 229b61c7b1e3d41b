"""The keys of an account: where they come from, what is refused, and that nothing ever shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.keys import keys_of, variables_of
from engine.errors import ConfigError
from engine.settings import ExchangeConfig

WHOLE = 'key = "AAAkeyAAA"\nsecret = "BBBsecretBBB"\n'


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user without keys."""
    for variable in variables_of("").values():
        monkeypatch.delenv(variable, raising=False)


def config(path: Path | str = "") -> ExchangeConfig:
    """`[exchange]` with this file of keys."""
    return ExchangeConfig(name="binance", keys_file=str(path))


def keys_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    """A file of keys."""
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(path: Path | str = "") -> str:
    """Why these keys are refused; no part of a key is in it."""
    with pytest.raises(ConfigError) as caught:
        keys_of(config(path))
    assert "AAA" not in str(caught.value)
    assert "BBB" not in str(caught.value)
    assert all(p.cure for p in caught.value.problems)
    return str(caught.value)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables are enough; a password is taken along where there is one."""
    monkeypatch.setenv("TRADEPIT_KEY", " AAA ")
    assert "has no secret for binance. Set TRADEPIT_SECRET" in refusal()
    monkeypatch.setenv("TRADEPIT_SECRET", "BBB")

    assert {"apiKey": "AAA", "secret": "BBB"} == keys_of(config())
    monkeypatch.setenv("TRADEPIT_PASSWORD", "CCC")
    assert {"apiKey": "AAA", "secret": "BBB", "password": "CCC"} == keys_of(config())


def test_keys_come_from_a_private_file(tmp_path: Path) -> None:
    """A file of mode 0600 is taken."""
    path = keys_file(tmp_path, WHOLE)

    assert {"apiKey": "AAAkeyAAA", "secret": "BBBsecretBBB"} == keys_of(config(path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The refusal says the mode and the command that helps."""
    path = keys_file(tmp_path, WHOLE, mode)

    assert f"mode {mode:04o}. Run: chmod 600 {path}" in refusal(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no key and secret"),
        ('key = "AAA"', "has no secret"),
        ("key = AAA\nsecret = BBB", "is not TOML (at line 1, column 7)"),
        ('AAA = "BBB"\n', "has other lines than"),
        ('key = "AAA"\nsecret = 5\n', "has a value that is no text"),
    ],
)
def test_a_wrong_file_is_refused_unseen(tmp_path: Path, text: str, why: str) -> None:
    """Each way to write it wrongly has its sentence, without a word of what is in the file."""
    assert why in refusal(keys_file(tmp_path, text))


def test_two_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys in the environment and in a file nobody can say which account is meant."""
    path = keys_file(tmp_path, WHOLE)
    monkeypatch.setenv("TRADEPIT_KEY", "AAA")

    assert "the environment has TRADEPIT_KEY too. Keep the keys in one place" in refusal(path)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("TRADEPIT_KEY", '"AAA"', "a key with a quotation mark in it"),
        ("TRADEPIT_KEY", "AAA\nAAA", "a key with a blank or a line break in it"),
        ("TRADEPIT_SECRET", "'BBB'", "a secret with a quotation mark in it"),
        ("TRADEPIT_SECRET", "BBB BBB", "a secret with a blank or a line break in it"),
        ("TRADEPIT_SECRET", "BBBé", "a secret with a letter that is not ASCII in it"),
    ],
)
def test_what_was_copied_with_more_around_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    """Quotes, line breaks and letters that no key has are told before the exchange is asked."""
    monkeypatch.setenv("TRADEPIT_KEY", "AAA")
    monkeypatch.setenv("TRADEPIT_SECRET", "BBB")
    monkeypatch.setenv(variable, value)

    assert why in refusal()


def test_a_secret_of_several_lines_and_a_mark_before_the_file_are_taken(tmp_path: Path) -> None:
    """A private key in PEM is a secret at some exchanges, and editors write a mark before the first letter."""
    path = keys_file(tmp_path, '\ufeffkey = "AAA"\nsecret = """-----BEGIN EC PRIVATE KEY-----\nBBB\n"""\n')

    assert "-----BEGIN EC PRIVATE KEY-----\nBBB" == keys_of(config(path))["secret"]

"""The control socket: clients that do not behave, and the socket's file."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.sockets import LINE_MAX, SocketServer, call
from engine.errors import NotRunning, StorageError, TradepitError
from engine.repair import DataFault
from tests.actors.control_bot import Bot


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Bot]:
    """A bot whose control socket is open."""
    bot = Bot(tmp_path / "x.sock")
    bot.start()
    yield bot
    bot.runtime.close()


def connect(path: Path) -> socket.socket:
    """A raw connection."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    client.settimeout(10)
    return client


def line_of(client: socket.socket) -> dict[str, Any]:
    """The next answer on a raw connection."""
    data = b""
    while not data.endswith(b"\n"):
        part = client.recv(65536)
        assert part, "hung up without an answer"
        data += part
    answer = json.loads(data)
    assert isinstance(answer, dict)
    return answer


# ---------------------------------------------------------------- clients that do not behave


def test_garbage_is_answered_and_costs_nobody(bot: Bot) -> None:
    """A line that is no JSON, or no object, is answered in words; the next line is served."""
    with connect(bot.path) as client:
        client.sendall(b"\xff\xfe garbage\n")
        assert "not JSON" in line_of(client)["detail"]
        client.sendall(b"[1]\n")
        assert "JSON object" in line_of(client)["detail"]
        client.sendall(b'\n\n{"request": "status"}\n')
        assert line_of(client)["ok"]


def test_a_line_without_end_is_cut_off(bot: Bot) -> None:
    """A client that sends megabytes without a line's end is told the limit and hung up on."""
    with connect(bot.path) as client, pytest.raises(ConnectionError):
        for _ in range(1000):
            client.sendall(b"x" * LINE_MAX)
    assert bot.ask("status")["ok"]


def test_a_client_that_floods_garbage_is_hung_up_on(bot: Bot) -> None:
    """After a few lines of garbage the client is dropped: it costs no more time."""
    with connect(bot.path) as client, pytest.raises(ConnectionError):
        for _ in range(10_000):
            client.sendall(b"?\n")
    assert bot.ask("status")["ok"]


def test_a_client_that_never_reads_waits_for_itself(tmp_path: Path) -> None:
    """Of a client that does not read at most one request is answered; others are served as ever."""
    asked: list[int] = []

    def answer(client: int, request: Mapping[str, Any]) -> None:
        asked.append(client)
        server.reply(client, {"text": "x" * request.get("size", 0)})

    server = SocketServer(tmp_path / "x.sock", answer)
    server.start()
    with connect(server.path) as client:
        client.sendall(b'{"size": 1000000}\n' * 30)
        for _ in range(10):
            call(server.path, {"size": 1})

        assert 11 == len(asked)
        client.shutdown(socket.SHUT_WR)
        lines = client.makefile("rb").readlines()
    server.close()

    assert 30 == len(lines)


def test_figures_by_names_of_an_enumeration_are_answered(tmp_path: Path) -> None:
    """An answer whose figures stand under members of an enumeration is written by their names, and no crash."""
    path = tmp_path / "x.sock"
    figures = {"counts": {DataFault.STALE: 1}}
    server = SocketServer(path, lambda client, _: server.reply(client, figures))
    server.start()
    try:
        assert {"counts": {"stale": 1}} == call(path, {"request": "status"})
    finally:
        server.close()


def test_a_client_that_leaves_early_is_no_error(bot: Bot) -> None:
    """Hanging up before the answer costs nothing."""
    for _ in range(20):
        with connect(bot.path) as client:
            client.sendall(b'{"request": "status"}\n')
    assert bot.ask("status")["ok"]


def test_many_clients_are_served(bot: Bot) -> None:
    """Idle connections beyond the limit give way to new ones."""
    clients = [connect(bot.path) for _ in range(100)]
    answer = bot.ask("status")
    for client in clients:
        client.close()

    assert answer["ok"]


def test_requests_in_one_go_are_answered_in_order(bot: Bot) -> None:
    """Requests sent without waiting are served one after another, also when the client has half closed."""
    with connect(bot.path) as client:
        client.sendall(b'{"request": "pause"}\n{"request": "resume"}\n{"request": "status"}\n')
        client.shutdown(socket.SHUT_WR)
        text = b""
        while part := client.recv(65536):
            text += part
    answers = [json.loads(line) for line in text.splitlines()]

    assert ["EXITS_ONLY", "ACTIVE"] == [a["data"]["state"] for a in answers[:2]]
    assert "ACTIVE: 2 pairs, 1 open trades." == answers[2]["detail"]


# ---------------------------------------------------------------- the socket's file


def test_the_socket_is_the_owners_alone(bot: Bot) -> None:
    """Nobody else may connect."""
    assert 0o600 == stat.S_IMODE(bot.path.stat().st_mode)


def test_the_socket_goes_with_the_bot(bot: Bot) -> None:
    """An orderly end removes it; asking then says in a sentence that no bot runs."""
    bot.runtime.close()

    assert not bot.path.exists()
    with pytest.raises(NotRunning, match="No bot runs"):
        call(bot.path, {"request": "status"})


def test_a_restarted_control_actor_serves_again(bot: Bot) -> None:
    """A crash of the control actor closes its socket; the next incarnation opens it anew."""
    bot.runtime.kill("control")
    while "control" in [a.name for a in bot.runtime.stats().actors]:
        bot.runtime.wait(0.01)
    bot.start()

    assert bot.ask("status")["ok"]


def serving(path: Path) -> SocketServer:
    """A server that answers every request with yes."""
    server = SocketServer(path, lambda client, _: server.reply(client, {"ok": True}))
    server.start()
    return server


@pytest.mark.parametrize("name", ["x.sock", "y" * 150 + ".sock"])
def test_long_paths_work(tmp_path: Path, name: str) -> None:
    """Paths longer than an address of a Unix socket holds are served and called."""
    folder = tmp_path / ("deep" * 20) / ("er" * 40)
    folder.mkdir(parents=True)
    server = serving(folder / name)

    assert call(folder / name, {"request": "x"}) == {"ok": True}
    server.close()
    assert [] == list(folder.iterdir())


def test_a_dead_bots_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file that nobody answers at does not stop the next bot."""
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning):
        call(path, {"request": "x"})
    server = serving(path)

    assert call(path, {"request": "x"}) == {"ok": True}
    server.close()


def test_a_living_bots_socket_is_not_taken(tmp_path: Path) -> None:
    """Where a bot answers, a second one is refused with a sentence, and the first one goes on."""
    path = tmp_path / "x.sock"
    server = serving(path)
    second = SocketServer(path, lambda *_: None)
    with pytest.raises(StorageError, match="Another bot answers"):
        second.start()
    second.close()

    assert call(path, {"request": "x"}) == {"ok": True}
    server.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A user's file under the socket's name is not removed; the bot says what is in the way."""
    path = tmp_path / "x.sock"
    path.write_text("mine")
    server = SocketServer(path, lambda *_: None)
    with pytest.raises(StorageError, match="no socket"):
        server.start()
    server.close()

    assert "mine" == path.read_text()


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    """A folder that is not there is said, with the path."""
    server = SocketServer(tmp_path / "none" / "x.sock", lambda *_: None)
    with pytest.raises(StorageError, match="cannot be made"):
        server.start()
    server.close()


def test_a_bot_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    """A call has a time limit, and says so when it is over."""
    path = tmp_path / "x.sock"
    server = SocketServer(path, lambda *_: None)
    server.start()
    with pytest.raises(TradepitError, match="did not answer within"):
        call(path, {"request": "x"}, 0.05)
    server.close()


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Starting and closing leaves no descriptor behind."""
    serving(tmp_path / "x.sock").close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        server = serving(tmp_path / "x.sock")
        call(tmp_path / "x.sock", {"request": "x"})
        server.close()

    assert before == len(list(Path("/proc/self/fd").iterdir()))

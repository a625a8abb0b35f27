"""The server: right answers under load from other processes, and a reason for what cannot be answered."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import merlin_models_torch as mm
from merlin_models_torch.exporting.reader import ExportedModel
from tests.unit.exporting.families import FAMILIES
from tests.unit.exporting.test_export import BAD, ONE, WORDS, raw_rows

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed here")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mm.export(
        FAMILIES[WORDS].made(), tmp_path_factory.mktemp("served") / "model", **FAMILIES[WORDS].options
    )


async def asked(server: Any, body: bytes, path: str) -> tuple[int, Any]:
    """Status and answer of one request, without a client's overhead."""
    method = "GET" if path == "/health" else "POST"
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await server(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.fixture(scope="module")
def server(folder: Path) -> Any:
    from merlin_models_torch.examples.serve import app

    return app(folder)


def replies(server: Any, bodies: Iterable[bytes], *, path: str = "/answer") -> list[tuple[int, Any]]:
    """Status and answer of each request, one after the other, in this process."""

    async def all_of_them() -> list[tuple[int, Any]]:
        async with server.router.lifespan_context(server):
            return [await asked(server, body, path) for body in bodies]

    return asyncio.run(all_of_them())


def test_it_is_well_and_answers_as_the_export(server: Any, folder: Path) -> None:
    assert replies(server, [b""], path="/health") == [(200, {"status": "ok"})]
    wanted = ExportedModel(folder).answer([ONE])[0]
    [(status, found)] = replies(server, [json.dumps(ONE).encode()])
    assert (status, found["item_id"]) == (200, wanted["item_id"])
    assert found["score"] == pytest.approx(wanted["score"], abs=1e-5)


def test_bad_requests_are_answered_with_the_reason(server: Any) -> None:
    # Numbers of ten thousand digits are no JSON for Python.
    bad = {name: case for name, case in BAD.items() if name != "huge"}
    found = replies(server, [json.dumps(row).encode() for row, _ in bad.values()])
    for (status, answer), (_, said) in zip(found, bad.values(), strict=True):
        assert status == 422
        assert answer["error"].startswith(said)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "the request is not JSON"),
        (b"\xff\xfe", 400, "the request is not JSON"),
        (b"[" * 200_000, 400, "the request is not JSON: RecursionError"),
        (b'{"country": ' + b"9" * 5000 + b"}", 400, "the request is not JSON"),
        (b'{"country": "' + b"9" * 2_000_000 + b'"}', 413, "the request is larger than 1048576 bytes"),
    ],
    ids=["empty", "no text", "nested", "huge number", "too large"],
)
def test_what_is_no_row_is_refused(body: bytes, status: int, said: str, server: Any) -> None:
    [(found, answer)] = replies(server, [body])
    assert found == status
    assert answer["error"].startswith(said)


def test_scores_that_are_no_numbers_are_no_server_error(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ExportedModel, "answer", lambda _, rows: [{"score": float("nan")} for _ in rows])
        [(status, answer)] = replies(server, [json.dumps(ONE).encode()])
    assert (status, answer) == (422, {"error": "the scores are beyond all numbers: give smaller ones"})
    assert [status for status, _ in replies(server, [json.dumps(ONE).encode()])] == [200]


def test_what_would_be_filled_up_too_far_is_answered_apart() -> None:
    from merlin_models_torch.examples.serve import TOGETHER, Batching

    class Model:
        def __init__(self) -> None:
            self.asked: list[list[int]] = []

        def check(self, row: Any) -> None:
            """Fits."""

        def answer(self, rows: Any) -> list[dict[str, Any]]:
            self.asked.append([len(row["sizes"]) for row in rows])
            return [{"size": len(row["sizes"])} for row in rows]

    model, lengths = Model(), [3, 1, TOGETHER // 4, 2, 5, TOGETHER * 2, 1, 1, *[TOGETHER // 3] * 5]

    async def all_of_them() -> list[dict[str, Any]]:
        batching = Batching(model)  # type: ignore[arg-type]
        task = asyncio.create_task(batching.run())
        found = await asyncio.gather(*(batching.answer({"sizes": [0] * length}) for length in lengths))
        task.cancel()
        return found

    assert [one["size"] for one in asyncio.run(all_of_them())] == lengths
    assert [length for asked in model.asked for length in asked] == lengths
    assert all(len(asked) == 1 or len(asked) * max(asked) <= TOGETHER for asked in model.asked)
    assert len(model.asked) < 8


def bad_value(rng: np.random.Generator, depth: int = 0) -> Any:
    """Any value of JSON, odd ones among them."""
    kind = int(rng.integers(0, 10 if depth < 3 else 8))
    if kind < 8:
        odd: list[Any] = [None, True, -1, 10**30, 1e308, float("nan"), "\ud800\x00", "item 1"]
        return odd[kind]
    some = [bad_value(rng, depth + 1) for _ in range(rng.integers(0, 4))]
    return some if kind == 8 else {str(place): value for place, value in enumerate(some)}


def bad_body(rng: np.random.Generator) -> bytes:
    """A request that is wrong in one way at least."""
    way = int(rng.integers(0, 7))
    if way == 0:
        return rng.bytes(int(rng.integers(0, 40)))
    if way == 4:
        text = bytearray(json.dumps(ONE).encode())
        text[int(rng.integers(0, len(text)))] = int(rng.integers(0x80, 0x100))
        return bytes(text)
    if way == 5:
        return json.dumps(ONE).encode()[:-1] + b', "more": ' + b'[{"a":' * int(rng.integers(1, 3000))
    if way == 6:
        return json.dumps({**ONE, "item_id": [[int(n)] for n in rng.integers(-9, 9, 500)]}).encode()
    if way == 1:
        return json.dumps(bad_value(rng)).encode()
    if way == 2:
        text = bytearray(json.dumps(ONE).encode())
        del text[int(rng.integers(0, len(text) - 1)) :]
        return bytes(text)
    names = rng.choice(list(ONE), size=int(rng.integers(1, 4)), replace=False)
    return json.dumps({**ONE, **{name: {"not": bad_value(rng)} for name in names}}).encode()


def test_after_ten_thousand_bad_requests_a_good_one_is_answered(server: Any) -> None:
    rng = np.random.default_rng(0)
    bodies = [*(bad_body(rng) for _ in range(10_000)), json.dumps(ONE).encode()]
    *bad, (status, answer) = replies(server, bodies)
    statuses = [found for found, _ in bad]
    assert {400, 422} == {*statuses}
    assert min(statuses.count(400), statuses.count(422)) > 2000
    assert all(answer["error"] for _, answer in bad)
    assert (status, len(answer["item_id"])) == (200, 5)


LOAD = """
import concurrent.futures, http.client, json, sys, time
port, rows = int(sys.argv[1]), json.load(sys.stdin)
def ask(part):
    connection, found = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for number in part:
        begun = time.perf_counter()
        connection.request("POST", "/answer", json.dumps(rows[number]))
        response = connection.getresponse()
        found.append((number, response.status, json.loads(response.read()), time.perf_counter() - begun))
    return found
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    parts = [range(start, len(rows), 8) for start in range(8)]
    print(json.dumps([one for part in pool.map(ask, parts) for one in part]))
"""


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """A server in a process of its own."""
    import http.client
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "merlin_models_torch.examples.serve", str(folder), "--port", str(port)]
    with subprocess.Popen(command) as server:
        try:
            for _ in range(600):
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/health")
                    assert connection.getresponse().status == 200
                    break
                except ConnectionError:
                    assert server.poll() is None
                    time.sleep(0.1)
            yield port
        finally:
            server.terminate()
            server.wait(60)


ODD = [
    (b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
    (b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", b"405"),
    (b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", b"404"),
    (b"POST /answer/../../etc/passwd HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", b"404"),
    (b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", b"422"),
    (b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\xff\xfe{", b"400"),
    (b"POST /answer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    (b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n{", b""),
    (b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n{}", b"400"),
    (b"POST /answer HTTP/9.9\r\n\r\n", b"400"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, b"400"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"40"),
    (b"", b""),
]


def test_after_requests_that_are_no_http_a_good_one_is_answered(port: int) -> None:
    import http.client
    import socket

    rng = np.random.default_rng(1)
    bodies = [bad_body(rng) for _ in range(200)]
    head = "POST /answer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"
    asked = [*ODD, *((head.format(len(body)).encode() + body, b"4") for body in bodies)]
    for request, status in asked:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1000)
            assert answer == b"" or answer.split(b" ")[1].startswith(status), request[:80]
    good = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    good.request("POST", "/answer", json.dumps(ONE))
    response = good.getresponse()
    assert response.status == 200
    assert len(json.loads(response.read())["item_id"]) == 5


def test_every_request_of_another_process_is_answered_right(port: int, folder: Path) -> None:
    rows = raw_rows(400, seed=1)
    # Every tenth is wrong, among good ones that it is not to disturb.
    asked = [{**row, "country": 77} if number % 10 == 9 else row for number, row in enumerate(rows)]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(port)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    wanted = ExportedModel(folder).answer(rows)
    found = json.loads(done.stdout)
    assert sorted(number for number, *_ in found) == list(range(400))
    for number, status, answer, _ in found:
        if number % 10 == 9:
            assert status == 422
        else:
            assert status == 200
            assert answer["item_id"] == wanted[number]["item_id"]
            assert answer["score"] == pytest.approx(wanted[number]["score"], abs=1e-5)

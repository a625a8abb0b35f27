"""A server of an exported model: ``python -m merlin_models_torch.examples.serve exported --port 8000``.

``POST /answer`` takes a JSON object of values by column, with original ids, and gives ids and scores.
Requests that come while the model computes are answered together. What does not fit is answered 422 with the
reason. Needs the extra ``serve``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import fastapi
import uvicorn
from fastapi.responses import JSONResponse

from merlin_models_torch.exporting.reader import ExportedModel, RequestError

_LARGEST_REQUEST = 1 << 20
# Values that rows answered together have at most, those included that fill up the shorter ones.
TOGETHER = 1 << 18


class Batching:
    """Answers requests together: those that wait when the model is free.

    Args:
        model: answers rows.
        largest: rows that are answered together.
    """

    def __init__(self, model: ExportedModel, *, largest: int = 64) -> None:
        self.model = model
        self.largest = largest
        self._waiting: asyncio.Queue[tuple[Any, asyncio.Future[Any]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1)

    async def answer(self, row: Any) -> dict[str, Any]:
        """The answer to one row.

        Raises:
            RequestError: if the row does not fit.
        """
        self.model.check(row)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        await self._waiting.put((row, future))
        return await future

    async def run(self) -> None:
        """Answers until it is cancelled."""
        loop = asyncio.get_running_loop()
        apart: tuple[Any, asyncio.Future[Any]] | None = None
        while True:
            some = [apart or await self._waiting.get()]
            apart = None
            longest = _longest(some[0][0])
            while apart is None and len(some) < self.largest and not self._waiting.empty():
                one = self._waiting.get_nowait()
                longest = max(longest, _longest(one[0]))
                if longest * (len(some) + 1) > TOGETHER:
                    apart = one
                else:
                    some.append(one)
            try:
                answers: Sequence[Any] = await loop.run_in_executor(
                    self._thread, self.model.answer, [row for row, _ in some]
                )
            except Exception as error:
                answers = [error] * len(some)
            for (_, future), answer in zip(some, answers, strict=True):
                if future.cancelled():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def _longest(row: Any) -> int:
    return max([1, *(len(values) for values in row.values() if isinstance(values, list))])


def app(folder: str | Path, *, largest: int = 64, trusted: bool = False) -> fastapi.FastAPI:
    """The server of an export.

    Args:
        folder: the export.
        largest: requests that are answered together.
        trusted: run machine code too, the format "aoti"; see :class:`ExportedModel`.
    """
    model = ExportedModel(folder, trusted=trusted)

    @asynccontextmanager
    async def running(server: fastapi.FastAPI) -> AsyncIterator[None]:
        server.state.batching = Batching(model, largest=largest)
        task = asyncio.create_task(server.state.batching.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    server = fastapi.FastAPI(title="merlin-models-torch", lifespan=running)

    @server.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @server.post("/answer")
    async def answer(request: fastapi.Request) -> JSONResponse:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_REQUEST:
                return JSONResponse({"error": f"the request is larger than {_LARGEST_REQUEST} bytes"}, 413)
        try:
            row = json.loads(body)
        except (ValueError, RecursionError) as error:
            return JSONResponse({"error": f"the request is not JSON: {type(error).__name__}"}, 400)
        try:
            found = await server.state.batching.answer(row)
        except RequestError as error:
            return JSONResponse({"error": str(error)}, 422)
        try:
            return JSONResponse(found)
        except ValueError:
            return JSONResponse({"error": "the scores are beyond all numbers: give smaller ones"}, 422)

    return server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="written by merlin_models_torch.export")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--largest-batch", type=int, default=64)
    parser.add_argument("--trusted", action="store_true", help="run machine code too, the format aoti")
    options = parser.parse_args(arguments)
    server = app(options.folder, largest=options.largest_batch, trusted=options.trusted)
    uvicorn.run(server, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()

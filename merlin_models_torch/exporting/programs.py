"""Graphs as torch.export, AOTInductor, ONNX and Triton hold them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.exporting.compiled import compiled
from merlin_models_torch.exporting.graph import Graph
from merlin_models_torch.exporting.triton import triton_config

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

Writer = Callable[[Path, dict[str, Any]], str]
"""Writes a program into a folder, with its signature, and gives the name of the file."""


@dataclass(frozen=True)
class Program:
    """A traced graph.

    Args:
        traced: what torch made of it.
        tensors: inputs it was traced with.
        outputs: what it gave for them.
        dims: the dimensions that may differ, each with its least and largest size, None where open.
    """

    traced: torch.export.ExportedProgram
    tensors: dict[str, Tensor]
    outputs: dict[str, Tensor]
    dims: dict[str, tuple[int, int | None]]

    def writer(self, format: str) -> Writer:
        """What writes the program in a format; everything that may fail is done by then."""
        if format in ("torch", "aoti"):
            return self._to_archive(compile=format == "aoti")
        converted = self._to_onnx()

        def write(folder: Path, described: dict[str, Any]) -> str:
            if format == "onnx":
                converted.save(str(folder / "model.onnx"))
                return "model.onnx"
            (folder / "1").mkdir()
            converted.save(str(folder / "1" / "model.onnx"))
            (folder / "config.pbtxt").write_text(triton_config(described), encoding="utf-8")
            return "1/model.onnx"

        return write

    def _to_archive(self, *, compile: bool) -> Writer:
        # On a disk that is full torch's own writer of archives ends the process when it is thrown away.
        archive = compiled(self.traced) if compile else _saved(self.traced)

        def write(folder: Path, described: dict[str, Any]) -> str:
            (folder / "model.pt2").write_bytes(archive)
            return "model.pt2"

        return write

    def _to_onnx(self) -> Any:
        try:
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ImportError("ONNX needs its packages: pip install 'merlin-models-torch[onnx]'") from error
        return torch.onnx.export(
            self.traced,
            dynamo=True,
            input_names=list(self.tensors),
            output_names=list(self.outputs),
            verbose=False,
        )


def trace(graph: Graph, model: Model) -> Program:
    """The graph as a program.

    Raises:
        ValueError: if torch cannot make one.
    """
    dims = {dim: _range(dim, graph) for one in graph.inputs for dim in one.dims}
    numbers = itertools.chain((5, 4, 3), itertools.count(6))
    # Different sizes for different dimensions: equal ones would be taken for the same.
    sizes = {dim: min(number, dims[dim][1] or number) for dim, number in zip(dims, numbers, strict=False)}
    tensors = {one.name: one.example(sizes) for one in graph.inputs}
    symbols = {
        dim: torch.export.Dim(dim, min=low, max=high) for dim, (low, high) in dims.items() if high != 1
    }
    shapes = {
        one.name: {place: symbols[dim] for place, dim in enumerate(one.dims) if dim in symbols}
        for one in graph.inputs
    }
    outputs = graph(tensors)
    # The blocks say themselves where sequences get too long for them.
    graph({one.name: one.example({**sizes, **_largest(dims)}) for one in graph.inputs})
    try:
        traced = torch.export.export(
            graph,
            (tensors,),
            dynamic_shapes=(shapes,),
            strict=False,
            # What is asked of sizes and always holds, but not provably so, is asked again when it runs.
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the model cannot be exported, torch.export says {type(error).__name__}: {said}; the blocks are "
            f"{', '.join(type(block).__name__ for block in model.body)}"
        ) from error
    return Program(traced, tensors, outputs, dims)


def _saved(traced: torch.export.ExportedProgram) -> bytes:
    archive = io.BytesIO()
    torch.export.save(traced, archive)
    return archive.getvalue()


def _largest(dims: dict[str, tuple[int, int | None]]) -> dict[str, int]:
    return {dim: high for dim, (_, high) in dims.items() if high is not None}


def _range(dim: str, graph: Graph) -> tuple[int, int | None]:
    positions = {f"{leader}_length" for leader in graph.columns.leaders.values()}
    return (1, graph.columns.longest) if dim in positions else (1, None)

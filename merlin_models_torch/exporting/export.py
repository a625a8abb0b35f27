"""From a model to a folder with a program that runs without this library."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from merlin_models_torch._modes import eval_mode
from merlin_models_torch.exporting.graph import Graph, ItemGraph, ScoreGraph
from merlin_models_torch.exporting.index import GraphIndex, exact_order, order_of_onnx
from merlin_models_torch.exporting.inputs import Columns, columns_of
from merlin_models_torch.exporting.programs import trace
from merlin_models_torch.exporting.signature import signature
from merlin_models_torch.outputs import TwoTowerOutput
from merlin_models_torch.outputs.base import ItemOutput
from merlin_models_torch.retrieval.encoder import TopKEncoder
from merlin_models_torch.storage import check_new, new_folder

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

Format = Literal["torch", "aoti", "onnx", "triton"]
SIGNATURE = "signature.json"
# Sequences of a model that does not say how long they may be.
_USUAL_LENGTH = 512


def export(
    model: Model,
    folder: str | Path,
    *,
    k: int | None = None,
    format: Format = "torch",
    candidates: Any = None,
    exclude: Any = None,
    exclude_seen: bool | None = None,
    max_sequence_length: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a model as a program that answers without this library, with a description in JSON.

    The program takes one dictionary of tensors and gives one: item rows and scores of the k best, or scores.
    Batches and sequences may have any size within what ``signature.json`` says. Of a model of items two more
    inputs are filters of each row: ``exclude`` (B, E), item rows that are no answers, and ``candidates``
    (B, C), the only ones that may be; -1 fills up, and a row without candidates is answered from all items.
    Items never answered, those of the session where they are left out, and the k best are inside.

    The folder appears whole or not at all.

    Args:
        model: on the CPU.
        folder: to make.
        k: answers, for a model of items. Two towers without it give the score of each row's pair; items among
            several targets are as many as their output's largest cut-off.
        format: "torch" (``model.pt2`` for ``torch.export.load``), "aoti" (the same compiled for this machine,
            for ``torch._inductor.aoti_load_package``; needs a C++ compiler), "onnx" (``model.onnx``; extra
            ``onnx``), or "triton" (the latter as a model of Triton's repository, with ``config.pbtxt``).
        candidates: as for :meth:`Model.predict`: the only items that may be answers to any row.
        exclude: as for :meth:`Model.predict`: items that are no answers to any row.
        exclude_seen: as for :meth:`Model.predict`, for sessions; of a longer one the program is given the
            latest items alone, and the reader puts the others into ``exclude`` (not where items are among
            several targets, which takes no filters).
        max_sequence_length: positions of the longest sequences; the model's own, or 512, if not given.
        overwrite: replace the folder if an export is there.

    Returns:
        The folder: the program, ``signature.json`` (inputs, outputs, schema, vocabularies) and
        ``manifest.json`` (size and SHA-256 of each).

    Raises:
        FileExistsError: if the folder exists and is not to be replaced.
        WriteError: if it cannot be written, the disk is full, say; an ``OSError``.
        ValueError: if the arguments do not fit the model, or it cannot be exported; nothing is written then.
        ImportError: if the packages of a format are not installed.

    Example:
        >>> from merlin_models_torch.exporting.reader import ExportedModel
        >>> folder = export(model, "exported", k=3)
        >>> [answer] = ExportedModel(folder).answer([{"item_id": [3], "category": [1], "price": [0.5]}])
        >>> len(answer["item_id"])
        3
    """
    folder = Path(folder)
    check_new(folder, overwrite=overwrite)
    if format not in ("torch", "aoti", "onnx", "triton"):
        raise ValueError(f"format is {format!r}, expected 'torch', 'aoti', 'onnx' or 'triton'")
    if model.is_sharded or model.device.type != "cpu":
        raise ValueError(
            f"the model is on {model.device} or shared out to several processes: an export is made on the "
            "CPU, of a model in one piece; call model.cpu(), or unshard_items(model) in all processes first"
        )
    onnx = format in ("onnx", "triton")
    with eval_mode(model), torch.no_grad(), warnings.catch_warnings():
        # Of torch's own making: what it will do differently one day.
        warnings.simplefilter("ignore")
        graph = _graph(model, k, candidates, exclude, exclude_seen, max_sequence_length, onnx=onnx)
        program = trace(graph, model)
        described = signature(model, graph, program, k=k)
        # Converted before anything is written, since this is what may fail.
        write = program.writer(format)
    with new_folder(folder, overwrite=overwrite) as work:
        described |= {"runtime": "onnx" if onnx else format, "program": write(work, described)}
        (work / SIGNATURE).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
    return folder


def _graph(
    model: Model,
    k: int | None,
    candidates: Any,
    exclude: Any,
    exclude_seen: bool | None,
    length: int | None,
    *,
    onnx: bool,
) -> Graph:
    """The module that answers, for these arguments."""
    output: Any = model.output
    if isinstance(output, ItemOutput) and k is None:
        raise ValueError("k is not given: say how many items to answer with, such as k=10")
    several = bool(getattr(output, "item_columns", None))
    if k is None or several:
        if candidates is not None or exclude is not None or (exclude_seen and not several):
            raise ValueError(
                "candidates, exclude and exclude_seen are for the k best items, and this is "
                f"{type(output).__name__} without k: leave them out, or give k"
            )
        columns = _columns(model, model.schema, length)
        return ScoreGraph(
            columns,
            model,
            k=k,
            exclude_seen=bool(exclude_seen),
            order=order_of_onnx if onnx else exact_order,
        )
    if not isinstance(output, (ItemOutput, TwoTowerOutput)):
        raise ValueError(f"k is {k}, but {type(output).__name__} gives scores and no items: leave it out")
    index = functools.partial(GraphIndex, order=order_of_onnx if onnx else exact_order, model=model)
    best = TopKEncoder(
        model, k=k, candidates=candidates, exclude=exclude, exclude_seen=exclude_seen, index=index
    )
    return ItemGraph(
        _columns(model, best.schema, length), best, str(getattr(output, "item_id", None) or "item")
    )


def _columns(model: Model, schema: Any, length: int | None) -> Columns:
    limits = []
    for block in model.input_blocks:
        own = block.max_sequence_length
        if own is not None and block.masking is not None:
            own = block.masking.window("predict", own)
        limits += [limit for limit in (own, block.pad_to) if limit is not None and block.sequences]
    longest = min(limits, default=length or _USUAL_LENGTH)
    if length is not None and not 1 <= length <= longest:
        raise ValueError(
            f"max_sequence_length is {length}, but the model sees {longest} positions: choose within them"
        )
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.body.modules())
    return columns_of(model.input_blocks, schema, longest=length or longest, padded=recurrent)

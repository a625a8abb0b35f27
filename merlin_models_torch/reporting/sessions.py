"""Example sessions of a report: what was shown, answered, and attended to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from merlin_models_torch.batch import Batch, Column, Ragged
from merlin_models_torch.blocks import attention_weights
from merlin_models_torch.outputs import CategoricalOutput, TabularOutputBlock, TwoTowerOutput
from merlin_models_torch.outputs.seen import seen_items
from merlin_models_torch.reporting.cards import Example, card
from merlin_models_torch.reporting.page import figure
from merlin_models_torch.reporting.plots import heat_map
from merlin_models_torch.reporting.walk import sequence_of
from merlin_models_torch.retrieval.answers import original_ids
from merlin_models_torch.retrieval.candidates import Candidates, tower
from merlin_models_torch.retrieval.index import ItemIndex
from merlin_models_torch.retrieval.inference import evaluating

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

_ANSWERS, _SHOWN = 5, 10


@dataclass(frozen=True)
class Attention:
    """How much positions of a session take from each other in one body: the mean of the last layer's heads.

    Args:
        body: its path in the model.
        names: of the positions.
        shares: (P, P) how much each position (first) takes from each.
    """

    body: str
    names: Sequence[str]
    shares: Tensor


def session_card(
    model: Model,
    output: Any,
    row: Batch,
    *,
    key: str,
    notes: Mapping[str, str],
    candidates: Candidates | None,
) -> str:
    """A card of one row of the data: the items that it shows, what came next, and the answers.

    Args:
        model: any with an output of items.
        output: that one.
        row: a batch of one row, with what is to be predicted.
        key: what names it.
        notes: a word about an item, by item.
        candidates: of two towers.
    """
    vocabulary = model.vocabulary_of(output)
    shown = without_last(row, model.inputs.sequences) if output.needs_plan else row
    sequence = sequence_of(model)
    items: list[str] = []
    if sequence is not None:
        own = model.vocabularies.get(model.inputs.domains.get(sequence, ""))
        items = [_name(one) for one in original_ids(own, _values(shown, sequence).numpy()).to_pylist()]
    target = _values(row, str(sequence))[-1:] if output.needs_plan else output.targets(row)
    answers = _answers(model, output, shown, candidates)
    wanted = [_name(one) for one in original_ids(vocabulary, target.numpy()).to_pylist()]
    named = [_name(one) for one in original_ids(vocabulary, answers.numpy()).to_pylist()]
    example = Example(
        key, items[-_SHOWN:], wanted, {"this model": named}, what="row" if sequence is None else "session"
    )
    more = "".join(_attention_figure(one) for one in attention_of(model, shown, items))
    return card(example, notes, more=more)


def without_last(row: Batch, sequences: Sequence[str]) -> Batch:
    """A batch whose sequences have lost their last value: what was known before it."""
    changed: dict[str, Column] = {}
    for name in sequences:
        column = row[name]
        if isinstance(column, Ragged):
            lengths = column.lengths - 1
            starts, ends = column.offsets[:-1], column.offsets[1:] - 1
            kept = [column.values[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
            changed[name] = Ragged(torch.cat(kept), offsets)
        else:
            changed[name] = column[:, :-1]
    return row.with_features(changed)


def attention_of(model: Model, row: Batch, items: Sequence[str]) -> list[Attention]:
    """Of each body that has attention, for a batch of one session; none for a model without.

    Args:
        model: any.
        row: the session.
        items: the names of its items.
    """
    own = row.to(model.device)
    try:
        weights = attention_weights(model, own)
    except ValueError:
        return []
    plan = model.for_prediction(own).plan
    found = []
    for body, layers in weights.items():
        shares = layers[-1][0].float().mean(0).cpu()
        used = shares.shape[-1] if plan is None else min(int(plan.lengths[0]), shares.shape[-1])
        extra = 0 if plan is None else max(plan.extend, 0)
        names = [*items, *["(next)"] * extra][-used:]
        if len(names) < used:
            names = [str(number + 1) for number in range(used)]
        shares = shares[:used, :used][-_SHOWN:, -_SHOWN:]
        found.append(Attention(body, names[-_SHOWN:], shares))
    return found


def _attention_figure(attention: Attention) -> str:
    names, shares = attention.names, attention.shares
    columns = [str(number + 1) for number in range(len(names))]
    last = int(shares[-1].argmax())
    rows = [f"{number}. {name}" for name, number in zip(names, columns, strict=True)]
    told = (
        f"The last position takes most from position {last + 1}, {names[last]}: {float(shares[-1, last]):.2f}"
    )
    chart = heat_map(f"Attention in {attention.body}", told, rows, columns, shares.tolist())
    meaning = (
        "how much each item (row) takes from each (column): mean of the last layer's heads, the largest "
        f"{float(shares.max()):.2f}"
    )
    return figure("Attention", meaning, chart)


def _answers(model: Model, output: Any, row: Batch, candidates: Candidates | None) -> Tensor:
    """The first item rows of a batch of one row, without places that hold none."""
    with evaluating(model):
        own = row.to(model.device)
        if isinstance(output, TwoTowerOutput):
            if candidates is None:
                raise ValueError("two towers answer with candidates: pass them")
            queries = output.scaled(tower(model, output.query)(own))
            index = ItemIndex(candidates.vectors, temperature=output.temperature)
            answers = candidates.best(index, queries, k=min(_ANSWERS, len(candidates)))[1]
        else:
            answers = _of_catalogue(model, output, own)
    answers = answers[0].cpu()
    return answers[answers >= 0]


def _of_catalogue(model: Model, output: CategoricalOutput, own: Batch) -> Tensor:
    planned = model.for_prediction(own)
    hidden = model.body(planned)
    if isinstance(model.output, TabularOutputBlock) and not isinstance(hidden, Tensor):
        hidden = hidden[output.target or "next_item"]
    seen = None
    if output.exclude_seen and planned.plan is not None and model.inputs.item_id is not None:
        seen = seen_items(own, planned, model.inputs.item_id)
    never = sorted({*output.exclude, *model.never_of(output)})
    k = min(_ANSWERS, output.cardinality - len(never))
    return output.topk(hidden, planned, k=k, seen=seen, never=never)[1]


def _values(row: Batch, name: str) -> Tensor:
    """The values of a list column of a batch of one row."""
    column = row[name]
    return column.values if isinstance(column, Ragged) else column[0, : int(row.lengths(name)[0])]


def _name(item: object) -> str:
    return "unknown" if item is None else str(item)

"""``mm.report``: a page about a trained model and how it does on some data."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from merlin_models_torch.data import ParquetLoader, SessionDataModule, SessionFiles
from merlin_models_torch.data.source import ParquetSource, Source
from merlin_models_torch.outputs import CategoricalOutput, TwoTowerOutput
from merlin_models_torch.reporting.curves import curve_figures, read_curves
from merlin_models_torch.reporting.drawing import chain_of, drawing
from merlin_models_torch.reporting.groups import Popularity
from merlin_models_torch.reporting.item_map import categories_of, item_map, vectors_of
from merlin_models_torch.reporting.page import Section, charts, document, facts, figure, paragraph, write_page
from merlin_models_torch.reporting.sections import figure_sections, highlights
from merlin_models_torch.reporting.sessions import session_card
from merlin_models_torch.reporting.text import text
from merlin_models_torch.reporting.walk import Seen, outputs_of, sequence_of, walk
from merlin_models_torch.retrieval.candidates import Candidates, encode_candidates
from merlin_models_torch.retrieval.features import item_column
from merlin_models_torch.retrieval.keys import RowKeys, key_names
from merlin_models_torch.training.evaluation import evaluation_schema

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

PAGE = "report.html"
# The popularity of items that a model reads and does not answer with.
_ITEMS = ""
# Targets and blocks that a title has.
_NAMED = 3


def report(
    model: Model,
    data: Any,
    folder: str | Path,
    *,
    curves: Any = None,
    popularity: Any = None,
    items: Any = None,
    category: str | None = None,
    names: Mapping[Any, str] | None = None,
    top_ks: Sequence[int] | None = None,
    examples: int = 4,
    title: str | None = None,
    batch_size: int = 512,
) -> Path:
    """Writes a page about a model: one HTML file that needs no network and no script.

    It has what applies: ranking measures by number of answers, by session length and by how popular the
    target is; coverage; ROC curve and calibration of clicks; numbers beside their labels; the curves of
    training; example sessions with the answers and the attention; a map of the items; a drawing of the
    blocks. What does not apply is named at its end. Measures are those of ``Trainer.test``, of the same rows.
    Data is read batch by batch, in memory that does not grow with its rows.

    Args:
        model: any. It stays in its mode.
        data: rows with labels, or sessions whose last item is to be predicted: as for :meth:`Model.predict`;
            or a folder of ``sessions_from_events``, what that returned, or a :class:`SessionDataModule`, of
            which the test rows count (all where there is no split).
        folder: where ``report.html`` is written; made if it is not there. An older page is replaced when the
            new one is whole.
        curves: metrics of the training: a folder of Lightning's ``CSVLogger``, the logger, the Trainer that
            had it, or points (x, y) by the metrics' names.
        popularity: events that items are counted in, such as the training data: a table or parquet with the
            column of items. If not given, the training rows of what ``sessions_from_events`` wrote, or else
            ``data`` itself.
        items: of two towers, what may be answered, as for :meth:`Model.encode_candidates`; the items of
            ``data`` if not given. Of any model, a table where the category of items is looked up.
        category: column that colours the map of items: of ``items`` if given, else of ``data``, where it has
            a value for each item. If not given, the map shows how popular items are.
        names: a word about items, by their original ids, shown beside them.
        top_ks: numbers of answers to measure at; 1, 5, 10 and 20 if not given.
        examples: how many sessions to show.
        title: of the page.
        batch_size: rows at a time.

    Returns:
        The page's path.

    Raises:
        ValueError: if the data lacks a column, or an argument does not fit the model.

    Example:
        >>> page = report(model, files, "report", category="category", examples=2)
        >>> page.name, "Recall" in page.read_text()
        ('report.html', True)
    """
    if examples < 0:
        raise ValueError(f"examples is {examples}, expected 0 or more")
    if model.is_sharded:
        raise ValueError(
            "this model's items are shared out to several processes: call unshard_items(model) in all of "
            "them first"
        )
    rows, training = _opened(data)
    loader = _loader(model, rows, batch_size)
    source = loader.source
    content = source.content
    page = _Page({str(key): str(name) for key, name in (names or {}).items()})
    candidates = _candidates(model, items, content)
    told = "this data"
    counted = content
    if popularity is not None or training is not None:
        told, counted = "the training data", training if popularity is None else popularity
    popular = _popularity(model, counted, told, wanted=popularity is not None, page=page)
    seen = walk(model, loader, popularity=popular, candidates=candidates, top_ks=top_ks, examples=examples)
    for section in figure_sections(seen, popular, several=len(outputs_of(model)) > 1):
        page.sections.append(section)
    page.missing += [f"{name}: nothing was measured, as no row has a label." for name in seen.unmeasured]
    _curves(page, curves)
    _sessions(page, model, loader, seen, candidates)
    where = (items if items is not None and not isinstance(items, Candidates) else content, category)
    _map(page, model, candidates, popular, where)
    page.sections.append(Section("blocks", "The model", charts([_drawing(model)])))
    if page.missing:
        rest = "".join(f"<li>{text(sentence)}</li>" for sentence in page.missing)
        page.sections.append(
            Section("missing", "What is not on this page", f'<ul class="missing">{rest}</ul>')
        )
    page.sections.append(Section("made", "How it was made", facts(_facts(model, seen, told, source))))
    whole = document(
        title=title or f"{_made_of(model)} on {_named(source)}",
        summary=f"How the model does on {seen.rows:,} rows that it was asked about, and what it is made of.",
        tiles=highlights(seen),
        sections=page.sections,
    )
    return write_page(whole, Path(folder) / PAGE)


@dataclass
class _Page:
    notes: dict[str, str]
    sections: list[Section] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _opened(data: Any) -> tuple[Any, Any]:
    """The rows, and the training rows that belong to them, if they are known."""
    if isinstance(data, (str, Path)) and (Path(data) / "schema.pbtxt").is_file():
        data = SessionFiles.load(data)
    if isinstance(data, SessionDataModule):
        test = data.test_dataloader()
        return test if isinstance(test, ParquetLoader) else data.predict_dataloader(), [*data.files.train]
    if isinstance(data, SessionFiles):
        return [*(data.test or data.train)], [*data.train]
    return data, None


def _loader(model: Model, rows: Any, batch_size: int) -> ParquetLoader:
    if isinstance(rows, ParquetLoader):
        return rows.over(rows.source.content)
    return ParquetLoader(
        rows, evaluation_schema(model), batch_size=batch_size, rank=0, world=1, memory_limit=0
    )


def _candidates(model: Model, items: Any, content: Any) -> Candidates | None:
    if not isinstance(model.output, TwoTowerOutput):
        return None
    if isinstance(items, Candidates):
        return items
    return encode_candidates(model, content if items is None else items)


def _popularity(model: Model, data: Any, told: str, *, wanted: bool, page: _Page) -> dict[str, Popularity]:
    """Of the items of each output."""
    found = {}
    for name, output in outputs_of(model).items():
        if isinstance(output, TwoTowerOutput):
            item_id, size = output.item_id, output.size
        elif isinstance(output, CategoricalOutput):
            item_id, size = str(output.item_id), output.cardinality
        else:
            continue
        never = [0, *output.exclude] if isinstance(output, CategoricalOutput) else [0]
        try:
            found[name] = Popularity.of(
                data, item_id, size, told=told, never=[*never, *model.never_of(output)]
            )
        except ValueError as error:
            if wanted:
                raise
            page.missing.append(f"Measures by popularity of the target: {error}.")
    if not found and not isinstance(model.output, (CategoricalOutput, TwoTowerOutput)):
        try:
            column = item_column(model)
            size = model.schema.cardinality(column.name)
            found[_ITEMS] = Popularity.of(data, column.name, size, told=told)
        except ValueError:
            if wanted:
                raise
    return found


def _curves(page: _Page, curves: Any) -> None:
    if curves is None:
        page.missing.append("Curves of training: pass curves=, such as the folder of a CSVLogger.")
        return
    points, x_label = read_curves(curves)
    figures = curve_figures(points, x_label=x_label)
    if figures:
        page.sections.append(Section("learning", "How it learned", charts(figures)))
    else:
        page.missing.append("Curves of training: curves= holds no finite number.")


def _sessions(
    page: _Page, model: Model, loader: ParquetLoader, seen: Seen, candidates: Candidates | None
) -> None:
    output = next(
        (o for o in outputs_of(model).values() if isinstance(o, (CategoricalOutput, TwoTowerOutput))), None
    )
    if output is None:
        page.missing.append("Sessions and their answers, and attention: the model names no items.")
        return
    if not seen.shown:
        page.missing.append("Sessions and their answers: no session has three items, or examples is 0.")
        return
    keys = key_names(loader, [key for block in model.input_blocks for key in block.keys])
    cards = [
        session_card(
            model, output, row, key=_key(model, loader, row, keys), notes=page.notes, candidates=candidates
        )
        for row in seen.shown
    ]
    if not any("Attention in" in one for one in cards):
        page.missing.append("Attention: no body of the model has attention weights.")
    told = "Each session was given without the item that came next. An answer that names it is a hit."
    body = f'{paragraph(told)}<div class="cards">{"".join(cards)}</div>'
    page.sections.append(Section("sessions", "Sessions and their answers", body))


def _key(model: Model, loader: ParquetLoader, row: Any, keys: Sequence[str]) -> str:
    value = RowKeys(model, loader, keys, streamed=True).of(row.rows).keys[0][0].as_py()
    return str(value) if keys or sequence_of(model) is None else f"of row {value}"


def _map(
    page: _Page,
    model: Model,
    candidates: Candidates | None,
    popular: Mapping[str, Popularity],
    where: tuple[Any, str | None],
) -> None:
    name, output = next(iter(outputs_of(model).items()))
    for one, other in outputs_of(model).items():
        if isinstance(other, (CategoricalOutput, TwoTowerOutput)):
            name, output = one, other
            break
    try:
        ids, vectors = vectors_of(model, output, candidates)
    except (TypeError, ValueError) as error:
        page.missing.append(f"Map of the items: {error}.")
        return
    if len(ids) < 2:
        page.missing.append("Map of the items: there are fewer than two.")
        return
    own = getattr(output, "item_id", None)
    item_id = str(own) if own is not None else item_column(model).name
    table, column = where
    categories = None
    if column is not None:
        domain = model.schema.domain_name(column) if column in model.schema.column_names else column
        categories = categories_of(table, item_id, column, model.vocabularies.get(domain))
    names_of = getattr(output, "domain", None)
    if names_of is None and item_id in model.schema.column_names:
        names_of = model.schema.domain_name(item_id)
    vocabulary = model.vocabularies.get(names_of or "")
    drawn = item_map(
        ids,
        vectors,
        vocabulary=vocabulary,
        popularity=popular.get(name, popular.get(_ITEMS)),
        categories=categories,
        notes=page.notes,
        column=column or "",
    )
    page.sections.append(Section("map", "Where the items are", charts([drawn])))


def _made_of(model: Model) -> str:
    """What a model predicts, and by which blocks: "Next item by TransformerBlock"."""
    if isinstance(model.output, TwoTowerOutput):
        return f"{model.output.item_id} by two towers"
    targets = _listed(["next item" if name == "next_item" else name for name in outputs_of(model)])
    blocks = [name for name in dict.fromkeys(_parts(model)[:-1]) if name != "TabularInputBlock"]
    return f"{targets[:1].upper()}{targets[1:]}" + (f" by {_listed(blocks)}" if blocks else "")


def _listed(names: Sequence[str]) -> str:
    """Names in one line: "a, b and c"."""
    shown = names[:_NAMED] if len(names) <= _NAMED else [*names[: _NAMED - 1], "more"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _parts(model: Model) -> list[str]:
    return [type(part).__name__ for part in [*chain_of(model.body), model.output]]


def _named(source: Source) -> str:
    """The data in a few words."""
    if not isinstance(source, ParquetSource):
        return "a table"
    more = f" and {len(source.paths) - 1} more files" if len(source.paths) > 1 else ""
    return f"{Path(source.paths[0]).name}{more}"


def _drawing(model: Model) -> str:
    meaning = "from rows (top) to answers; B rows, T positions of a session"
    return figure("Blocks", meaning, drawing(model))


def _facts(model: Model, seen: Seen, told: str, source: Source) -> dict[str, str]:
    import lightning

    from merlin_models_torch import __version__

    return {
        "Model": f"{type(model).__name__} of {', '.join(_parts(model))}",
        "Rows": f"{seen.rows:,} of {_named(source)}",
        "Popularity of items": f"counted in {told}",
        "Versions": f"merlin-models-torch {__version__}, torch {torch.__version__}, lightning "
        f"{lightning.__version__}, Python {platform.python_version()}",
    }

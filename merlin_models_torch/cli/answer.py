"""``merlin-models-torch evaluate``, ``predict`` and ``report``: what a saved model says about data."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
from jsonargparse import ArgumentParser

from merlin_models_torch.data import ParquetLoader, SessionFiles
from merlin_models_torch.reporting.report import report as write_report
from merlin_models_torch.storage import whole_file
from merlin_models_torch.training.evaluation import evaluation_schema
from merlin_models_torch.training.saving import load

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model


def evaluate(argv: Sequence[str]) -> int:
    """Metrics of a saved model as JSON, on the standard output or in a file.

    Args:
        argv: the model's folder, the data and options.

    Returns:
        0.
    """
    parser = _parser("evaluate", "Metrics of a saved model, as JSON.")
    parser.add_argument("--output", "-o", type=str, default=None, help="JSON file to write instead")
    options = parser.parse_args(list(argv))
    model = load(options.model, trusted=options.trusted)
    schema = evaluation_schema(model)
    rows = _as_said(model, options)
    loader = ParquetLoader(rows(_data(options.data)), schema, batch_size=options.batch_size)
    # Figures are asked for, not what device there is and what else could be installed.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        accelerator="cpu" if options.device == "cpu" else "auto",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
    )
    with warnings.catch_warnings():
        # Lightning calls what torch has another name for.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec", FutureWarning)
        (figures,) = trainer.test(model, loader, verbose=False)
    text = json.dumps(figures, indent=1) + "\n"
    if options.output is None:
        sys.stdout.write(text)
        return 0
    with whole_file(Path(options.output)) as part:
        part.write_text(text, encoding="utf-8")
    return 0


def predict(argv: Sequence[str]) -> int:
    """Answers of a saved model, written to parquet files.

    Args:
        argv: the model's folder, the data and options.

    Returns:
        0.
    """
    parser = _parser("predict", "Answers of a saved model: a parquet file for each file of the data.")
    parser.add_argument("--output", "-o", type=str, required=True, help="folder for the answers")
    parser.add_argument("--k", "-k", type=int | None, default=None, help="items for each row")
    parser.add_argument(
        "--candidates", type=str | None, default=None, help="parquet of items that may be answers"
    )
    parser.add_argument(
        "--exclude", type=str | None, default=None, help="parquet of items that are no answers"
    )
    parser.add_argument("--seen", type=str | None, default=None, help="parquet of what each key has met")
    parser.add_argument("--exclude_seen", type=bool | None, default=None, help="leave out what was seen")
    parser.add_argument("--keys", type=list[str] | None, default=None, help="columns that tell rows apart")
    parser.add_argument("--overwrite", type=bool, default=False, help="write files anew that are there")
    parser.add_argument(
        "--progress", type=bool | None, default=None, help="show a bar; on a terminal if not given"
    )
    options = parser.parse_args(list(argv))
    model = load(options.model, trusted=options.trusted)
    model.to(options.device)
    rows = _as_said(model, options)
    model.predict_to_parquet(
        rows(_data(options.data)),
        options.output,
        k=options.k,
        candidates=rows(options.candidates),
        exclude=rows(options.exclude),
        exclude_seen=options.exclude_seen,
        seen=rows(options.seen),
        keys=options["keys"],
        batch_size=options.batch_size,
        overwrite=options.overwrite,
        progress=options.progress,
    )
    return 0


def report(argv: Sequence[str]) -> int:
    """A page about a saved model and how it does on data.

    Args:
        argv: the model's folder, the data and options.

    Returns:
        0.
    """
    parser = _parser("report", "A page about a saved model: one HTML file, for a browser.")
    parser.add_argument("--output", "-o", type=str, required=True, help="folder for report.html")
    parser.add_argument("--curves", type=str | None, default=None, help="folder of Lightning's CSVLogger")
    parser.add_argument("--popularity", type=str | None, default=None, help="parquet to count items in")
    parser.add_argument("--items", type=str | None, default=None, help="parquet of items that may be answers")
    parser.add_argument("--category", type=str | None, default=None, help="column that colours the items")
    parser.add_argument("--top_ks", type=list[int] | None, default=None, help="numbers of answers to look at")
    parser.add_argument("--examples", type=int, default=4, help="sessions to show")
    parser.add_argument("--title", type=str | None, default=None, help="of the page")
    options = parser.parse_args(list(argv))
    model = load(options.model, trusted=options.trusted)
    model.to(options.device)
    rows = _as_said(model, options)
    write_report(
        model,
        rows(options.data),
        options.output,
        curves=options.curves,
        popularity=rows(options.popularity),
        items=rows(options["items"]),
        category=options.category,
        top_ks=options.top_ks,
        examples=options.examples,
        title=options.title,
        batch_size=options.batch_size,
    )
    return 0


def _parser(command: str, description: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"merlin-models-torch {command}", description=description)
    parser.add_argument("--config", action="config", help="YAML file of these options")
    parser.add_argument("model", type=str, help="folder that Model.save wrote")
    parser.add_argument(
        "data",
        type=str,
        help="parquet file, folder or glob, with ids as codes (with your own: --raw_ids true); or what "
        "sessions_from_events wrote",
    )
    parser.add_argument(
        "--raw_ids",
        type=bool,
        default=False,
        help="the files, those of other options too, hold your own ids, not codes",
    )
    parser.add_argument("--batch_size", type=int, default=512, help="rows at a time")
    parser.add_argument("--device", type=str, default="cpu", help="such as cpu or cuda")
    parser.add_argument("--trusted", type=list[str], default=[], help="packages whose classes may be built")
    return parser


def _as_said(model: Model, options: Any) -> Callable[[str | list[Path] | None], Any]:
    """What makes rows with original ids of files if the options say that they hold these.

    Raises:
        ValueError: if they say so of a folder that holds codes.
    """
    if options.raw_ids and _is_prepared(options.data):
        raise ValueError(
            f"--raw_ids is true, but {options.data} is what sessions_from_events wrote, which holds codes: "
            "leave the option out"
        )

    def rows(files: str | list[Path] | None) -> Any:
        return model.raw_ids(files) if options.raw_ids and files is not None else files

    return rows


def _is_prepared(path: str) -> bool:
    return (Path(path) / "schema.pbtxt").is_file()


def _data(path: str) -> str | list[Path]:
    """The parquet files: of prepared sessions those of the test, or all if there is no split."""
    if not _is_prepared(path):
        return path
    files = SessionFiles.load(path)
    return [*(files.test or files.train)]

"""``merlin-models-torch fit``: Lightning's command line, with the data and the models of this library."""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from merlin_models_torch.data import SessionDataModule, SessionFiles
from merlin_models_torch.training.model import Model


def fit(argv: Sequence[str]) -> int:
    """Trains a model and saves it.

    Args:
        argv: a builder of models, by the name of one of this library (``SessionModel``) or a dotted path to a
            function of yours; then the arguments of :class:`lightning.pytorch.cli.LightningCLI`;
            ``--output``, the folder that the model is saved to; ``--ckpt_path``, a checkpoint to go on from.
            The builder's first argument is not among them: it is what the data knows, its schema and
            vocabularies.

    Returns:
        0.

    Raises:
        FileExistsError: before training, if the output is there and not to be overwritten.
        ValueError: if there is no such builder.
    """
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(
            "usage: merlin-models-torch fit MODEL ...\n\n"
            f"MODEL is one of {', '.join(_builders())}, or a function of yours by its dotted path.\n"
            "fit MODEL --help says more.\n"
        )
        return 0
    with warnings.catch_warnings():
        # Of Lightning's making: it calls what jsonargparse 4.49 has other names for.
        warnings.filterwarnings("ignore", r"\s*By default only one Jsonargparse|[\s\S]*\sdeprecated\sin\sv4")
        return _fit(*argv)


def _fit(name: str = "", *arguments: str) -> int:
    cli = _Fitting(
        builder(name),
        SessionDataModule,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"prog": f"merlin-models-torch fit {name}"},
        auto_configure_optimizers=False,
        args=list(arguments),
        run=False,
    )
    output, overwrite = Path(cli.config["output"]), cli.config["overwrite"]
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists: choose another --output or pass --overwrite true")
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=cli.config["ckpt_path"])
    if cli.trainer.is_global_zero:
        cli.model.save(output, overwrite=overwrite)
    return 0


def builder(name: str) -> Callable[..., Model]:
    """The function that makes a model.

    Args:
        name: of this library, or a dotted path.

    Raises:
        ValueError: if there is none of this name.
    """
    import merlin_models_torch

    module, _, last = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module) if module else merlin_models_torch, last, None)
    except ImportError:
        found = None
    if not inspect.isfunction(found):
        raise ValueError(
            f"{name or 'nothing'!r} builds no model: name one of {', '.join(_builders())}, or a function of "
            "yours by its dotted path"
        )
    return found


def _builders() -> list[str]:
    import merlin_models_torch

    public = (one for one in merlin_models_torch.__all__ if one.endswith("Model"))
    return [one for one in public if inspect.isfunction(getattr(merlin_models_torch, one))]


class _Fitting(LightningCLI):
    """The data comes first: from it the model takes schema and vocabularies."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.set_defaults({"data.batch_size": 128})
        parser.add_argument("--output", "-o", required=True, help="folder that the model is saved to")
        parser.add_argument("--overwrite", type=bool, default=False, help="replace a model that is there")
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint to go on from")
        build: Any = self.model_class
        first = next(iter(inspect.signature(build).parameters))
        parser.link_arguments("data", f"model.{first}", compute_fn=_files, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        # Lightning's own warns of arguments that are not those of the process.
        self.config = parser.parse_args(args)


def _files(data: SessionDataModule) -> SessionFiles:
    return data.files

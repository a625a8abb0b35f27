"""A model as a folder: JSON, safetensors, schema and vocabularies. Nothing is ever unpickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merlin_models_torch.data import Vocabulary
from merlin_models_torch.schema import Schema
from merlin_models_torch.serialize import ConfigError, from_config, to_config
from merlin_models_torch.storage import SavedFolderError, check_new, new_folder, read_json, verify
from merlin_models_torch.storage.bounds import within
from merlin_models_torch.training.weights import read_weights, shapes_in

if TYPE_CHECKING:
    from merlin_models_torch.training.model import Model

FORMAT = 1
_AGAIN = "save the model again"
_MOST_SCHEMAS = 1000


class SavedModelError(SavedFolderError):
    """A saved model is incomplete, changed, or none."""


def save(model: Model, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Writes a model to a folder that :func:`load` builds it from again, with bit-equal answers.

    The folder appears whole or not at all: it is written under a temporary name beside it and renamed.

    Args:
        model: a model whose parameters all have their size.
        folder: to make.
        overwrite: replace the folder if a saved model is there.

    Returns:
        The folder: ``config.json`` (how to build the model), ``model.safetensors``, ``schema.pbtxt``,
        ``vocabulary/*.parquet``, ``files/*`` (copies of files that the model reads) and ``manifest.json``
        (size and SHA-256 of each).

    Raises:
        FileExistsError: if the folder exists and is not to be replaced.
        WriteError: if it cannot be written, the disk is full, say; an ``OSError``.
        ValueError: if the model's tables are shared out to several processes.
        ConfigError: if a part of the model cannot be built again from its arguments.

    Example:
        >>> folder = save(model, "saved", overwrite=True)
        >>> sorted(path.name for path in folder.iterdir())
        ['config.json', 'manifest.json', 'model.safetensors', 'schema.pbtxt', 'vocabulary']
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if model.is_sharded:
        raise ValueError(
            "the model's tables are shared out to several processes: call unshard_items(model) in all of "
            "them and save it in one, or write a checkpoint by distributed.save_checkpoint()"
        )
    check_new(folder, overwrite=overwrite)
    kept: list[Path] = []
    config, schemas = to_config(model, files=kept)
    with new_folder(folder, overwrite=overwrite) as work:
        for number, schema in enumerate(schemas):
            schema.save(work / _schema_name(number))
        copies = [f"files/{number}{path.suffix}" for number, path in enumerate(kept)]
        for path, name in zip(kept, copies, strict=True):
            (work / "files").mkdir(exist_ok=True)
            shutil.copyfile(path, work / name)
        vocabularies = {
            domain: f"vocabulary/{number}.parquet" for number, domain in enumerate(model.vocabularies)
        }
        if vocabularies:
            (work / "vocabulary").mkdir()
        for domain, name in vocabularies.items():
            model.vocabularies[domain].save(work / name)
        save_file(
            {name: t.detach().contiguous() for name, t in model.state_dict().items()},
            work / "model.safetensors",
        )
        whole = {
            "format": FORMAT,
            "model": config,
            "schemas": len(schemas),
            "files": copies,
            "vocabularies": vocabularies,
        }
        (work / "config.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return folder


def load(folder: str | Path, *, trusted: Iterable[str] = ()) -> Model:
    """Builds a saved model.

    Within :func:`distributed.sharded_tables` each process reads, and holds, only its rows of the item tables.

    Args:
        folder: written by :meth:`Model.save`.
        trusted: further packages whose classes may be built. Only name packages that you would import.

    Returns:
        The model in evaluation mode.

    Raises:
        SavedModelError: for a missing, changed or foreign file, named, before anything is built.
        ConfigError: for a class outside the trusted packages.

    Example:
        >>> folder = model.save("saved")
        >>> again = mm.load(folder)
        >>> again.predict(files.test[0], k=3).equals(model.predict(files.test[0], k=3))
        True
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SavedModelError(f"{folder} is not a folder: give the path that was passed to save()")
    try:
        return _load(folder, tuple(trusted))
    except SavedModelError:
        raise
    except SavedFolderError as error:
        raise SavedModelError(str(error)) from error
    except ConfigError as error:
        raise ConfigError(f"{folder / 'config.json'} describes no model: {error}") from error


def _load(folder: Path, trusted: tuple[str, ...]) -> Model:
    from merlin_models_torch.training.model import Model

    names = verify(folder, again=_AGAIN)
    whole = read_json(folder / "config.json", again=_AGAIN)
    if whole.get("format") != FORMAT:
        raise SavedModelError(
            f"{folder} has format {whole.get('format')!r}, this version reads {FORMAT}: load it with the "
            "version of merlin-models-torch that wrote it"
        )
    schemas, files, vocabularies = _parts(folder, whole, names)
    shapes = _shapes(folder / "model.safetensors")
    with within(shapes):
        model = from_config(whole.get("model"), schemas, files=files, trusted=trusted)
    if not isinstance(model, Model):
        raise SavedModelError(f"{folder} holds a {type(model).__name__}, expected a Model")
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if expected != shapes:
        odd = sorted(
            name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name)
        )
        raise SavedModelError(
            f"the weights in {folder} do not fit its config: {', '.join(odd[:5])}; save it again"
        )
    read_weights(model, folder / "model.safetensors")
    model.vocabularies = vocabularies
    return model.eval()


def _parts(
    folder: Path, whole: dict[str, Any], names: set[str]
) -> tuple[list[Schema], list[Path], dict[str, Vocabulary]]:
    """The schemas, files and vocabularies that a config names; all of them are part of the folder."""
    count, files, vocabularies = (whole.get(key) for key in ("schemas", "files", "vocabularies"))
    if (
        type(count) is not int
        or not 0 <= count <= _MOST_SCHEMAS
        or not isinstance(files, list)
        or not isinstance(vocabularies, dict)
    ):
        raise SavedModelError(f"{folder / 'config.json'} is not of this library's making: {_AGAIN}")
    named = [_schema_name(number) for number in range(count)]
    for name in [*named, *files, *vocabularies.values(), "model.safetensors"]:
        if not isinstance(name, str) or name not in names:
            raise SavedModelError(
                f"the config in {folder} names {str(name)[:80]!r}, which is not part of the saved model"
            )
    return (
        [Schema.load(folder / name) for name in named],
        [folder / name for name in files],
        {domain: Vocabulary.load(folder / name) for domain, name in vocabularies.items()},
    )


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """See :func:`shapes_in`.

    Raises:
        SavedModelError: if it is no whole safetensors file.
    """
    from safetensors import SafetensorError

    try:
        return shapes_in(file)
    except (SafetensorError, OSError) as error:
        raise SavedModelError(f"{file} is no whole safetensors file ({error}): {_AGAIN}") from error


def _schema_name(number: int) -> str:
    return "schema.pbtxt" if number == 0 else f"schema_{number}.pbtxt"

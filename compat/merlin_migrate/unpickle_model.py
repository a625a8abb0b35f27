"""Turns a model of Transformers4Rec or Merlin Models 23.12 into safetensors and JSON, in the old environment.

Copy this file to the environment that has Transformers4Rec 23.12.0 (or merlin-models 23.12, for models of
merlin.models.torch) and run it there, on a pickle of your own, or a model that torch.save wrote whole:

    python unpickle_model.py t4rec_model_class.pkl FOLDER

Reading a pickle runs the code in it, whoever wrote it: do not give it a file that you do not trust. Where the
model is already in memory, in your training program, no pickle is needed:

    from unpickle_model import write_folder
    write_folder(model, "FOLDER")

FOLDER gets model.safetensors, with the weights by their names in the state dict; answers.safetensors, with
what the model answers to a batch of made-up sessions, by which ``merlin-migrate checkpoint FOLDER ...``
checks what it converts; and model.json, which says how the model was built.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = "merlin-23.12"
FILES = ("model.safetensors", "answers.safetensors", "model.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the pickle and writes the files."""
    parser = argparse.ArgumentParser(description="Turns a pickled model into safetensors and JSON.")
    parser.add_argument("pickle", help="t4rec_model_class.pkl, of your own making")
    parser.add_argument("folder", help="for the files; must not have them")
    given = parser.parse_args(argv)
    if taken := taken_by(given.folder):
        parser.error(f"{taken} exists: give another folder")
    write_folder(read_model(given.pickle), given.folder)


def read_model(path: str) -> Any:
    """The model in a pickle, or in a file of ``torch.save``. Runs what the file says."""
    if zipfile.is_zipfile(path):
        import torch

        return torch.load(path, map_location="cpu", weights_only=False)
    import cloudpickle

    with open(path, "rb") as file:
        return cloudpickle.load(file)


def taken_by(folder: str) -> str | None:
    """The first of the files that the folder has already, if any."""
    paths = (os.path.join(folder, name) for name in FILES)
    return next((path for path in paths if os.path.exists(path)), None)


def write_folder(model: Any, folder: str, batch: Mapping[str, Any] | None = None) -> None:
    """Writes weights, answers and description of a model.

    Args:
        model: a ``transformers4rec.torch.Model`` or a ``merlin.models.torch.Model``.
        folder: for the files; must not have them.
        batch: columns as the loader gives them, (B, T) tensors by name, to answer; made up if not given.
    """
    from safetensors.torch import save_file

    if taken := taken_by(folder):
        raise FileExistsError(f"{taken} exists: give another folder")
    names = shared_names(model)
    state = model.state_dict()
    weights = {group[0]: state[group[0]].detach().cpu().contiguous() for group in names}
    content = describe(model)
    content["shared"] = [group for group in names if len(group) > 1]
    content["weights"] = {name: list(tensor.shape) for name, tensor in weights.items()}
    os.makedirs(folder, exist_ok=True)
    # safetensors forgets the order, by which layers without lasting names are told apart.
    metadata = {"format": "pt", "order": json.dumps(list(weights))}
    save_file(weights, os.path.join(folder, FILES[0]), metadata=metadata)
    sys.stdout.write(f"{len(weights)} tensors are now in {os.path.join(folder, FILES[0])}\n")
    try:
        answered = answers_of(model, made_batch(content["columns"]) if batch is None else batch)
    except Exception as error:  # whatever stops the model from answering: its weights are still worth having
        sys.stdout.write(f"no answers, the model fails on the batch: {type(error).__name__}: {error}\n")
    else:
        save_file(answered, os.path.join(folder, FILES[1]))
        sys.stdout.write(f"its answers to a batch are in {os.path.join(folder, FILES[1])}\n")
    with open(os.path.join(folder, FILES[2]), "w") as file:
        json.dump(content, file, indent=1)


def made_batch(columns: Mapping[str, dict[str, Any]], rows: int = 16) -> dict[str, Any]:
    """Sessions of all lengths, of random ids and numbers, zeros behind each.

    Args:
        columns: what :func:`columns_of` says of them.
        rows: sessions.
    """
    import torch

    longest = max((facts["length"] or 1 for facts in columns.values()), default=1)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.linspace(1, longest, rows).round().long()
    inside = torch.arange(longest) < lengths[:, None]
    batch = {}
    for name, facts in columns.items():
        shape = (rows, longest) if facts["length"] else (rows,)
        if facts["largest"] and isinstance(facts["largest"], int):
            values = torch.randint(1, facts["largest"] + 1, shape, generator=generator)
        else:
            values = torch.rand(shape, generator=generator)
        batch[name] = values * inside if facts["length"] else values
    return batch


def answers_of(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """A batch and what the model answers: ``batch/COLUMN`` and ``answers/TASK``, "" for a single task."""
    import torch

    was_training, top_k = model.training, getattr(model, "top_k", None)
    model.eval()
    if top_k is not None:
        model.top_k = None
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            given = {name: tensor.clone().to(device) for name, tensor in batch.items()}
            found = asked(model, given)
    finally:
        model.train(was_training)
        if top_k is not None:
            model.top_k = top_k
    named = found if isinstance(found, dict) else {"": found}
    answered = {f"answers/{name}": tensor.detach().cpu().contiguous() for name, tensor in named.items()}
    return {**{f"batch/{name}": tensor.cpu().contiguous() for name, tensor in batch.items()}, **answered}


def asked(model: Any, batch: Mapping[str, Any]) -> Any:
    """What the model answers, of either library."""
    if hasattr(model, "heads"):
        return model(batch, training=False, testing=False)
    from merlin.models.torch.batch import Batch

    return model(batch, batch=Batch(batch))


def shared_names(model: Any) -> list[list[str]]:
    """Names in the state dict, those of one tensor together."""
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return list(groups.values())


def describe(model: Any) -> dict[str, Any]:
    """How a model was built, as far as it still knows."""
    heads = []
    for head in getattr(model, "heads", ()):
        tasks = {name: plain_attributes(task) for name, task in head.prediction_task_dict.items()}
        for name, task in head.prediction_task_dict.items():
            tasks[name]["weight"] = float(head._task_weights[name])
            tasks[name]["metrics"] = [of_metric(metric) for metric in task.metrics]
        heads.append({"loss_reduction": head.loss_reduction, "tasks": tasks})
    return {
        "format": FORMAT,
        "model": plain_attributes(model),
        "heads": heads,
        "modules": {name: type(module).__name__ for name, module in model.named_modules()},
        "transformers": transformers_of(model),
        "columns": columns_of(model),
        "printed": str(model).splitlines(),
    }


def of_metric(metric: Any) -> dict[str, Any]:
    """Class and options of a metric."""
    options = ("top_ks", "labels_onehot")
    return {"class": type(metric).__name__, **{n: getattr(metric, n) for n in options if hasattr(metric, n)}}


def plain_attributes(thing: Any) -> dict[str, Any]:
    """Class and attributes of plain values."""
    values: dict[str, Any] = {"class": type(thing).__name__}
    for name, value in vars(thing).items():
        items = value if isinstance(value, (list, tuple)) else [value]
        is_plain = all(item is None or isinstance(item, (bool, int, float, str)) for item in items)
        if is_plain and not name.startswith("_") and name != "training":
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def transformers_of(model: Any) -> dict[str, Any]:
    """Configurations of Hugging Face by place of the model that has them."""
    found = {}
    for name, module in model.named_modules():
        config: Any = getattr(module, "config", None)
        if hasattr(config, "to_json_string") and hasattr(module, "get_input_embeddings"):
            found[name] = json.loads(config.to_json_string(use_diff=False))
    return found


def columns_of(model: Any) -> dict[str, dict[str, Any]]:
    """Columns that the input blocks take; the length is that of their lists, None for one value a row."""
    columns = {}
    if not hasattr(model, "heads"):
        from merlin.models.torch.schema import input_schema

        parts = [(input_schema(model), None)]
    else:
        inputs = [getattr(head.body, "inputs", None) for head in model.heads]
        parts = [(getattr(part, "schema", None), getattr(part, "input_size", None)) for part in inputs]
    for schema, sizes in parts:
        for column in schema if schema is not None else ():
            domain = getattr(column, "int_domain", None)
            columns[column.name] = {
                "tags": [str(getattr(tag, "value", tag)) for tag in column.tags],
                "largest": getattr(domain, "max", None),
                "length": length_of(sizes, column.name),
            }
    return columns


def length_of(sizes: Any, name: str) -> int | None:
    """Positions of a column, as the input block was built for."""
    size = tuple(sizes[name]) if isinstance(sizes, dict) and name in sizes else ()
    return int(size[1]) if len(size) > 1 and size[1] > 0 else None


if __name__ == "__main__":
    main()

"""Turns a model that Transformers4Rec 23.12.0 pickled into safetensors and JSON.

Copy this file to the environment that has Transformers4Rec 23.12.0 and run it there, on a pickle of your own:

    python unpickle_model.py t4rec_model_class.pkl FOLDER

Reading a pickle runs the code in it, whoever wrote it: do not give it a file that you do not trust.
FOLDER gets model.safetensors, with the weights by their names in the state dict, and model.json, which says
how the model was built: build it in your program and load the weights,

    from safetensors.torch import load_model
    load_model(model, "FOLDER/model.safetensors")
"""

import argparse
import json
import os
import sys

FORMAT = "transformers4rec-23.12"


def main(argv=None):
    """Reads the pickle and writes the two files."""
    parser = argparse.ArgumentParser(description="Turns a pickled model into safetensors and JSON.")
    parser.add_argument("pickle", help="t4rec_model_class.pkl, of your own making")
    parser.add_argument("folder", help="for model.safetensors and model.json; must not have them")
    given = parser.parse_args(argv)
    import cloudpickle
    from safetensors.torch import save_file

    files = [os.path.join(given.folder, name) for name in ("model.safetensors", "model.json")]
    taken = [name for name in files if os.path.exists(name)]
    if taken:
        parser.error(f"{taken[0]} exists: give another folder")
    with open(given.pickle, "rb") as file:
        model = cloudpickle.load(file)
    names = shared_names(model)
    state = model.state_dict()
    weights = {group[0]: state[group[0]].detach().cpu().contiguous() for group in names}
    content = describe(model)
    content["shared"] = [group for group in names if len(group) > 1]
    content["weights"] = {name: list(tensor.shape) for name, tensor in weights.items()}
    os.makedirs(given.folder, exist_ok=True)
    save_file(weights, files[0], metadata={"format": "pt"})
    with open(files[1], "w") as file:
        json.dump(content, file, indent=1)
    sys.stdout.write(f"{len(weights)} tensors are now in {files[0]}\n")


def shared_names(model):
    """Names in the state dict, those of one tensor together."""
    groups = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return list(groups.values())


def describe(model):
    """How a model was built, as far as it still knows."""
    heads = []
    for head in model.heads:
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


def of_metric(metric):
    """Class and options of a metric."""
    options = ("top_ks", "labels_onehot")
    return {"class": type(metric).__name__, **{n: getattr(metric, n) for n in options if hasattr(metric, n)}}


def plain_attributes(thing):
    """Class and attributes of plain values."""
    values = {"class": type(thing).__name__}
    for name, value in vars(thing).items():
        items = value if isinstance(value, (list, tuple)) else [value]
        is_plain = all(item is None or isinstance(item, (bool, int, float, str)) for item in items)
        if is_plain and not name.startswith("_") and name != "training":
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def transformers_of(model):
    """Configurations of Hugging Face by place of the model that has them."""
    found = {}
    for name, module in model.named_modules():
        config = getattr(module, "config", None)
        if hasattr(config, "to_json_string") and hasattr(module, "get_input_embeddings"):
            found[name] = json.loads(config.to_json_string(use_diff=False))
    return found


def columns_of(model):
    """Columns that the input blocks take."""
    columns = {}
    for head in model.heads:
        schema = getattr(getattr(head.body, "inputs", None), "schema", None)
        for column in schema if schema is not None else ():
            domain = getattr(column, "int_domain", None)
            columns[column.name] = {
                "tags": [str(getattr(tag, "value", tag)) for tag in column.tags],
                "largest": getattr(domain, "max", None),
            }
    return columns


if __name__ == "__main__":
    main()

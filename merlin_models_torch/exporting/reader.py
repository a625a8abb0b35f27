"""Answers of an exported model, with torch or onnxruntime alone.

This file imports nothing of its library: copy it to where the model is served.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ExportedModel", "RequestError"]

_LARGEST = 3.4028235e38
_TENSOR = re.compile(r"(weight|tensor)_\d+")
_PLAIN = re.compile(
    r"data/(weights|constants)/((weight|tensor)_\d+|model_(weights|constants)_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_(format|version)|byteorder"
    r"|\.data/(version|serialization_id)"
)
# What the graph of a .pt2 may call, and how it may compute sizes: torch finds the former by name in all that
# can be reached from torch (operators that read and write files, too), and evaluates the latter as Python.
_CALLED = re.compile(
    r"torch\.ops\.(aten\.(?!from_file|save)|prims\.)\w+(\.\w+)?|torch\.sym_\w+|math\.\w+"
    r"|torch\.ops\.higher_order\.(cond|while_loop|map_impl|scan|associative_scan|out_dtype|invoke_subgraph"
    r"|strict_mode|flex_attention|wrap_with_(set_grad_enabled|autocast))"
    r"|_operator\.(eq|ne|lt|le|gt|ge|add|sub|mul|truediv|floordiv|mod|neg|pos|pow|and_|or_|not_|getitem)"
)
_WORDS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|ModularIndexing|FloorDiv|CeilDiv|CleanDiv"
    "|IntTrueDiv|FloatTrueDiv|PowByNatural|Where|Identity|ceiling|floor|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality"
    "|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan|And|Or|Not|true|false|True|False|positive|integer"
    r"|nonnegative|precision|oo|int_oo|[a-z]{0,2}\d+"
)
_SIZE = r"(L\['tensors'\]\['[^'\\\n]*'\]\.size\(\)\[\d+\]|\d+)"
_GUARD = re.compile(rf"{_SIZE} (==|!=|<|>|<=|>=) {_SIZE}")
_MARKS = frozenset("(),.'=+-*/<>&|~ ")
# Containers of inputs and outputs; to make others torch imports modules by name.
_CONTAINERS = frozenset({None, "builtins.dict", "builtins.list", "builtins.tuple"})
_PLAIN_TYPES = (str, int, float, bool)
Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class RequestError(ValueError):
    """A row that cannot be answered: says which column, what was got and what was expected."""


class ExportedModel:
    """A folder written by ``merlin_models_torch.export``, from original ids to original ids.

    Every file is compared with the manifest first. A ``.pt2`` file is a program, and torch unpickles parts of
    one that says so; here such a file is refused. One of the format "aoti" is machine code, which nobody can
    check.

    Args:
        folder: the export.
        trusted: run machine code too. Only for folders that you wrote yourself, or would run a program of.

    Raises:
        ValueError: if the folder holds no export of this version, a file is missing or was changed, its
            program holds pickled objects, or is machine code that is not trusted.

    Example:
        >>> exported = ExportedModel(mm.export(model, "exported", k=2))
        >>> session = {"item_id": ["item-01"], "category": ["category-0"], "price": [12.5]}
        >>> exported.answer([{**session, "exclude": ["item-03"]}])
        [{'item_id': ['item-...', 'item-...'], 'score': [...]}]
    """

    def __init__(self, folder: str | Path, *, trusted: bool = False) -> None:
        folder = Path(folder)
        files = _check_files(folder)
        self.signature = _signature(folder / "signature.json")
        if self.signature["runtime"] == "aoti" and not trusted:
            raise ValueError(
                f"{folder} holds machine code (format 'aoti'), which cannot be checked: if you would run a "
                "program of those who wrote it, give trusted=True"
            )
        program = self.signature["program"]
        if program not in files:
            raise ValueError(f"{folder} has no program {program!r}: export the model again")
        self._folder = folder
        self._codes = {
            domain: {value: vocabulary["first"] + i for i, value in enumerate(vocabulary["values"])}
            for domain, vocabulary in self.signature["vocabularies"].items()
        }
        # The fewest values of a list by the dimension that it has with others.
        self._counted = {
            one["counts"]: one.get("least", 1) for one in self.signature["inputs"] if one["kind"] == "length"
        }
        # Columns of items of which none is an answer.
        self._left_out = [one["name"] for one in self.signature["inputs"] if one.get("left_out")]
        try:
            self._run = _runner(folder / program, self.signature)
        except Exception as error:
            raise ValueError(
                f"{folder / program} is no program that can be run ({_first_line(error)}): export the model "
                "again"
            ) from error

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some rows, computed together.

        Args:
            rows: values by column, ids as the vocabularies hold them (codes where there is none), lists of
                any length of which the latest values count. A model of items also takes ``exclude``, ids that
                are no answers, and ``candidates``, the only ones that may be.

        Returns:
            For each row the ids, best first, under the item column's name with ``score``, as many as there
            are; or its scores by name.

        Raises:
            RequestError: if a row does not fit, before anything is computed.
            ValueError: if program and signature do not fit each other.
        """
        if not rows:
            return []
        tensors = self.encode(rows)
        try:
            return self.decode(self._run(tensors))
        except Exception as error:
            raise ValueError(
                f"the program in {self._folder} does not answer what its signature says "
                f"({_first_line(error)}): export the model again"
            ) from error

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """The program's inputs for some rows, as lists of numbers filled up.

        Raises:
            RequestError: if a row does not fit.
        """
        checked = [self._checked(row) for row in rows]
        return {
            one["name"]: _filled([row[one["name"]] for row in checked], len(one["dims"]) - 1, one["fill"])
            for one in self.signature["inputs"]
        }

    def decode(self, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The answers in the program's outputs: arrays or tensors by name."""
        rows = len(next(iter(found.values())))
        return [self._decoded({name: found[name][row] for name in found}) for row in range(rows)]

    def check(self, row: Any) -> None:
        """Refuses a row that does not fit.

        Raises:
            RequestError: that says which column, what was got and what was expected.
        """
        self._checked(row)

    def _checked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row's inputs, with codes for ids."""
        if not isinstance(row, Mapping):
            raise RequestError(f"a row is a {type(row).__name__}, expected an object of values by column")
        inputs = self.signature["inputs"]
        known = [one["name"] for one in inputs if one["kind"] != "length"]
        for name in row:
            if name not in known:
                raise RequestError(f"column {name!r} is not known, expected {', '.join(known)}: leave it out")
        found: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for one in inputs:
            name = one["name"]
            if one["kind"] == "feature":
                found[name] = self._feature(one, row, lengths)
            elif one["kind"] == "filter":
                found[name] = self._filter(one, row)
            else:
                found[name] = lengths[one["counts"]]
        for name in self._left_out:
            found["exclude"] = [*found["exclude"], *self._cut_off(name, row[name])]
        return found

    def _cut_off(self, name: str, values: Sequence[Any]) -> list[int | float]:
        """Items of a session that are too long ago for the program, and no answers either."""
        one, filters = (
            next(one for one in self.signature["inputs"] if one["name"] == wanted)
            for wanted in (name, "exclude")
        )
        limit = self.signature["dimensions"][one["dims"][1]]["max"]
        earlier = values[:-limit] if limit else []
        return [self._value(filters, value, strict=False) for value in earlier]

    def _feature(self, one: Mapping[str, Any], row: Mapping[str, Any], lengths: dict[str, int]) -> Any:
        name, dims = one["name"], one["dims"]
        if name not in row:
            raise RequestError(f"column {name!r} is missing: give it")
        if len(dims) == 1:
            return self._value(one, row[name])
        values = _list(name, row[name])
        if dims[1] in self._counted:
            if len(values) < self._counted[dims[1]]:
                raise RequestError(f"column {name!r} is empty, expected at least one value")
            limit = self.signature["dimensions"][dims[1]]["max"]
            values = values[-limit:] if limit else values
        if lengths.setdefault(dims[1], len(values)) != len(values):
            raise RequestError(
                f"column {name!r} has {len(values)} values and another of the same sequence or list has "
                f"{lengths[dims[1]]}: give as many"
            )
        if len(dims) == 3:
            return [[self._value(one, value) for value in _list(name, inner)] for inner in values]
        return [self._value(one, value) for value in values]

    def _filter(self, one: Mapping[str, Any], row: Mapping[str, Any]) -> list[int | float]:
        name = one["name"]
        values = row.get(name)
        if values is None:
            return []
        values = _list(name, values)
        if name == "candidates" and not values:
            raise RequestError("candidates is empty, so nothing could be answered: leave it out")
        # An item that is not known is never an answer; nor is padding.
        return [self._value(one, value, strict=False) for value in values]

    def _value(self, one: Mapping[str, Any], value: Any, *, strict: bool = True) -> int | float:
        name, domain = one["name"], one.get("vocabulary")
        if domain is not None:
            if not isinstance(value, (str, int, float)):
                raise RequestError(f"column {name!r} has {_shown(value)}, expected an id")
            code: int | None = self._codes[domain].get(value) if not isinstance(value, bool) else None
            return self.signature["vocabularies"][domain]["unknown"] if code is None else code
        if one["dtype"] == "int64":
            if isinstance(value, bool) or not isinstance(value, int):
                raise RequestError(f"column {name!r} has {_shown(value)}, expected a whole number")
            inside = 0 <= value < one.get("rows", 2**63)
            if strict and not inside:
                raise RequestError(
                    f"column {name!r} has {_shown(value)}, expected a number from 0 to {one['rows'] - 1}"
                )
            return value if inside else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
            raise RequestError(f"column {name!r} has {_shown(value)}, expected a number")
        return float(value)

    def _decoded(self, row: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for one in self.signature["outputs"]:
            values = row[one["name"]].tolist()
            if one.get("kind") == "length":
                continue
            if "column" in one:
                count = counts[one["name"]] = sum(value >= 0 for value in values)
                answer[one["column"]] = [self._original(one, value) for value in values[:count]]
            elif "of" in one:
                answer[one["name"]] = values[: counts[one["of"]]]
            else:
                own = values[: int(row[one["lengths"]])] if "lengths" in one else values
                answer[one["name"]] = own
        return answer

    def _original(self, one: Mapping[str, Any], code: int) -> Any:
        if one["vocabulary"] is None:
            return code
        vocabulary = self.signature["vocabularies"][one["vocabulary"]]
        return vocabulary["values"][code - vocabulary["first"]]


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.40}"
    except (ValueError, RecursionError):
        # A number or a nesting that Python does not write out.
        return f"a {type(value).__name__}"


def _list(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise RequestError(f"column {name!r} has {_shown(value)}, expected a list")
    return value


def _filled(values: list[Any], depth: int, fill: int) -> list[Any]:
    """Values of rows as a matrix of this many further dimensions, each at least one long."""
    if depth == 0:
        return values
    width = max([1, *(len(row) for row in values)])
    if depth == 1:
        return [[*row, *[fill] * (width - len(row))] for row in values]
    inner = max([1, *(len(inside) for row in values for inside in row)])
    rows = [[[*inside, *[fill] * (inner - len(inside))] for inside in row] for row in values]
    return [[*row, *[[fill] * inner] * (width - len(row))] for row in rows]


def _runner(program: Path, signature: Mapping[str, Any]) -> Run:
    dtypes = {one["name"]: one["dtype"] for one in signature["inputs"]}
    if signature["runtime"] == "onnx":
        import numpy as np
        import onnxruntime

        session = onnxruntime.InferenceSession(str(program), providers=["CPUExecutionProvider"])
        wanted = [one.name for one in session.get_inputs()]
        names = [one["name"] for one in signature["outputs"]]

        def with_onnx(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
            given = {name: np.asarray(tensors[name], dtype=dtypes[name]) for name in wanted}
            return dict(zip(names, session.run(names, given), strict=True))

        return with_onnx
    import torch

    run: Any
    if signature["runtime"] == "aoti":
        run = torch._inductor.aoti_load_package(str(program))
    else:
        refuse_pickles(program)
        run = torch.export.load(program).module()

    def with_torch(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        given = {name: torch.tensor(tensors[name], dtype=getattr(torch, dtypes[name])) for name in dtypes}
        with torch.no_grad():
            found: Mapping[str, Any] = run(given)
        return found

    return with_torch


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


def _read(path: Path) -> dict[str, Any]:
    """A JSON object without a key twice, and with numbers only that are some."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return dict(pairs)

    def number(name: str) -> float:
        raise ValueError(f"{name} is no number of JSON")

    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, object_pairs_hook=distinct, parse_constant=number)
        if not isinstance(value, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({_first_line(error)}): export the model again") from error
    return value


def _signature(path: Path) -> dict[str, Any]:
    """What describes the program, every part of it of the kind that it should be.

    Raises:
        ValueError: if it is not.
    """
    signature = _read(path)
    if signature.get("format") != 1:
        raise ValueError(f"{path} is no signature of format 1: export the model again")

    def all_of(key: str, kinds: Mapping[str, Any]) -> bool:
        listed = signature.get(key)
        named = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else [0]
        return all(
            isinstance(one, dict) and all(isinstance(one.get(name), kind) for name, kind in kinds.items())
            for one in named
        )

    known = signature.get("vocabularies")
    good = (
        all(isinstance(signature.get(name), str) for name in ("program", "runtime"))
        and all(isinstance(signature.get(name), list) for name in ("inputs", "outputs"))
        and all(isinstance(signature.get(name), dict) for name in ("vocabularies", "dimensions"))
        and all_of("inputs", {"name": str, "kind": str, "dtype": str, "dims": list, "fill": int})
        and all_of("outputs", {"name": str})
        and all_of("vocabularies", {"first": int, "unknown": int, "values": list})
        and all_of("dimensions", {"min": int, "max": (int, type(None))})
        and isinstance(known, dict)
        and all(isinstance(value, _PLAIN_TYPES) for one in known.values() for value in one["values"])
        and all(_fits(one, signature) for one in [*signature["inputs"], *signature["outputs"]])
    )
    if not good:
        raise ValueError(f"{path} does not describe a program: export the model again")
    return signature


def _fits(one: Mapping[str, Any], signature: Mapping[str, Any]) -> bool:
    """Whether an input or output names only what the signature has."""
    domain, rows = one.get("vocabulary"), one.get("rows", 1)
    if not (domain is None or (isinstance(domain, str) and domain in signature["vocabularies"])):
        return False
    if type(rows) is not int or ("column" in one and not isinstance(one["column"], str)):
        return False
    kind, dims = one.get("kind"), one.get("dims", [])
    if "counts" not in one and "fill" not in one:
        names = {other.get("name") for other in signature["outputs"]}
        known = all(one[key] in names for key in ("of", "lengths") if key in one)
        return known and ("column" not in one or "vocabulary" in one)
    return (
        kind in ("feature", "length", "filter")
        and one["dtype"] in ("int64", "float32")
        and 1 <= len(dims) <= 3
        and all(isinstance(dim, str) and dim in signature["dimensions"] for dim in dims)
        and (kind != "length" or one.get("counts") in signature["dimensions"])
        and type(one.get("least", 1)) is int
        and (kind != "filter" or len(dims) == 2)
        and (not one.get("left_out") or (kind == "feature" and len(dims) == 2 and _has_filter(signature)))
    )


def _has_filter(signature: Mapping[str, Any]) -> bool:
    return any(one["kind"] == "filter" and one["name"] == "exclude" for one in signature["inputs"])


def _check_files(folder: Path) -> set[str]:
    """The names of an export's files, each as it was written.

    Raises:
        ValueError: if one is missing, was changed or lies elsewhere.
    """
    manifest = _read(folder / "manifest.json")
    said = {key: manifest.get(key) for key in ("format", "files")}
    if hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest() != manifest.get("digest"):
        raise ValueError(f"{folder / 'manifest.json'} was changed: export the model again")
    files = said["files"]
    if not isinstance(files, dict) or "signature.json" not in files:
        raise ValueError(f"{folder} holds no signature.json: give the folder that mm.export wrote")
    root = folder.resolve()
    for name, wanted in files.items():
        if "\0" in name or not (root / name).resolve().is_relative_to(root):
            raise ValueError(
                f"{folder} names {name[:80]!r}, which lies outside of it: do not use this folder"
            )
        path = root / name
        if not path.is_file():
            raise ValueError(f"{path} is missing: export the model again")
        found = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                found.update(chunk)
        if not isinstance(wanted, dict) or found.hexdigest() != wanted.get("sha256"):
            raise ValueError(f"{path} was changed after it was written: export the model again")
    return set(files)


def refuse_pickles(program: Path) -> None:
    """Refuses a ``.pt2`` file of which ``torch.export.load`` would unpickle more than tensors, or run more.

    Raises:
        ValueError: if so.
    """
    import torch

    # What torch itself would read: a zip file can be made that Python's reader finds other contents in.
    try:
        archive = torch._C.PyTorchFileReader(str(program))
        names = archive.get_all_records()
    except RuntimeError as error:
        raise ValueError(f"{program} is no archive of torch's ({_first_line(error)})") from error
    with zipfile.ZipFile(program) as same:
        listed = sorted(name.partition("/")[2] for name in same.namelist())
    if listed != sorted({*names}) or len(listed) != len(names):
        raise ValueError(f"{program} holds parts twice, or some that are hidden: do not use this file")
    packed = sum(archive.get_record_size(name) for name in names)
    if packed > program.stat().st_size:
        raise ValueError(f"{program} holds {packed} bytes packed into fewer: do not use this file")
    for name in names:
        if not _PLAIN.fullmatch(name) or not _is_harmless(name, archive):
            raise ValueError(
                f"{program} holds {name}, which is or names more than tensors and what computes with "
                "them: do not use this file"
            )


def _is_harmless(name: str, archive: Any) -> bool:
    """Whether a part of an archive is, and names, nothing but tensors and what computes with them."""
    if name.endswith("_config.json"):
        payloads = json.loads(archive.get_record(name))["config"].values()
        return not any(
            payload["use_pickle"] or not _TENSOR.fullmatch(payload["path_name"]) for payload in payloads
        )
    if name == "models/model.json":
        described = json.loads(archive.get_record(name))
        # Guards are Python that is run when the program is loaded.
        guarded = all(_GUARD.fullmatch(guard) for guard in described.get("guards_code") or [])
        return guarded and _computes_only(described)
    if name.startswith("data/sample_inputs/"):
        import torch

        # With weights_only torch reads tensors and plain containers, and refuses anything else.
        try:
            torch.load(io.BytesIO(archive.get_record(name)), weights_only=True)
        except Exception:
            return False
    return True


def _computes_only(described: Any) -> bool:
    """Whether everything that a graph calls is an operation of tensors or sizes."""
    waiting = [described]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            called, size = one.get("target"), one.get("expr_str")
            if isinstance(called, str) and "inputs" in one and not _CALLED.fullmatch(called):
                return False
            if isinstance(size, str) and not _is_size(size):
                return False
            if not all(_is_plain(one[key]) for key in ("in_spec", "out_spec") if key in one):
                return False
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return True


def _is_plain(text: Any) -> bool:
    """Whether a description of inputs or outputs names Python's own containers alone."""
    waiting = [json.loads(text)[1]] if text else []
    while waiting:
        one = waiting.pop()
        if one["type"] not in _CONTAINERS:
            return False
        waiting += one["children_spec"]
    return True


def _is_size(text: str) -> bool:
    """Whether an expression computes with symbols and whole numbers alone."""
    known = all(_WORDS.fullmatch(word) for word in re.findall(r"\w+", text))
    return known and {*re.sub(r"\w", "", text)} <= _MARKS

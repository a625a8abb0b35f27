"""The metrics of a training run, from whatever kept them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from merlin_models_torch.reporting.charts import Point, Series, line_chart
from merlin_models_torch.reporting.page import figure
from merlin_models_torch.reporting.ranking import curve_title

_POINTS = 400
_SHOWN = 5
_X = ("step", "epoch")

_TENSORBOARD = "events.out.tfevents"


class _Curve:
    """Points of a curve; neighbours are joined to their mean when they become too many."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._every, self._held = 1, []  # type: ignore[var-annotated]

    def add(self, x: float, y: float) -> None:
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        self._held.append((x, y))
        if len(self._held) < self._every:
            return
        self.points.append(_mean(self._held))
        self._held = []
        if len(self.points) >= 2 * _POINTS:
            self.points = [_mean(self.points[n : n + 2]) for n in range(0, len(self.points), 2)]
            self._every *= 2

    def finished(self) -> list[Point]:
        points = [*self.points, *([_mean(self._held)] if self._held else [])]
        return sorted(points)


def read_curves(curves: Any) -> tuple[dict[str, list[Point]], str]:
    """Points by the names of metrics.

    Args:
        curves: a folder of Lightning's ``CSVLogger`` (the latest run in it), its ``metrics.csv``, the logger,
            the Trainer that had it, or points (x, y) by name.

    Returns:
        Points by name, and what their x counts. Numbers that are not finite are left out.

    Raises:
        ValueError: if there is no such file, or it holds no metrics.
        TypeError: if it is none of these.
    """
    if isinstance(curves, Mapping):
        return {str(name): _of_points(name, points) for name, points in curves.items()}, "steps or epochs"
    if hasattr(curves, "loggers"):  # a Trainer
        found = [
            one for one in curves.loggers if hasattr(getattr(one, "experiment", None), "metrics_file_path")
        ]
        if not found:
            names = [type(one).__name__ for one in curves.loggers]
            raise ValueError(
                f"the Trainer has the loggers {names}, and curves are read from a CSVLogger: give it one, or "
                "pass points by name"
            )
        curves = found[0]
    if hasattr(getattr(curves, "experiment", None), "metrics_file_path"):
        curves.save()
        curves = curves.experiment.metrics_file_path
    if not isinstance(curves, (str, Path)):
        raise TypeError(
            f"curves is a {type(curves).__name__}, expected a CSVLogger, its folder, a Trainer with one, or "
            "points by name"
        )
    path = _file(Path(curves))
    found_curves: dict[str, _Curve] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        names = [name for name in rows.fieldnames or [] if name not in _X]
        x_name = next((name for name in _X if name in (rows.fieldnames or [])), None)
        if x_name is None or not names:
            raise ValueError(
                f"{path} has the columns {rows.fieldnames}, expected step or epoch and metrics, as "
                "Lightning's CSVLogger writes them: name its folder"
            )
        for row in rows:
            for name in names:
                if row.get(name):
                    found_curves.setdefault(name, _Curve()).add(*_numbers(path, row[x_name], row[name]))
    kept = {name: curve.finished() for name, curve in found_curves.items()}
    return {name: points for name, points in kept.items() if points}, f"{x_name}s done"


def curve_figures(curves: Mapping[str, Sequence[Point]], *, x_label: str) -> list[str]:
    """A figure of the losses, and one for each of the first metrics of validation.

    Args:
        curves: points by name.
        x_label: what x counts.
    """
    losses = {name: points for name, points in curves.items() if name in _loss_names(curves)}
    only = f"{next(iter(losses))}, " if len(losses) == 1 else ""
    figures = [_figure("Loss", f"{only}lower is better", losses, x_label)] if losses else []
    others = [
        name for name in curves if name.startswith("val_") and name not in losses and "loss" not in name
    ]
    others = others or [n for n in curves if n not in losses and not n.startswith(("train_", "test_", "lr"))]
    for name in others[:_SHOWN]:
        title = curve_title(name)
        meaning = "on validation data" if title == name else f"{name}, on validation data"
        figures.append(_figure(title, meaning, {name: curves[name]}, x_label))
    return figures


def _loss_names(curves: Mapping[str, Any]) -> list[str]:
    train = [name for name in ("train_loss_epoch", "train_loss", "train_loss_step") if name in curves]
    known = [*(["val_loss"] if "val_loss" in curves else []), *train[:1]]
    return known or [name for name in curves if "loss" in name][:2]


def _figure(name: str, meaning: str, curves: Mapping[str, Sequence[Point]], x_label: str) -> str:
    lines = [Series(one, points, dots=len(points) <= 20) for one, points in curves.items() if points]
    told = "; ".join(f"{x.name} from {x.points[0][1]:.3f} to {x.points[-1][1]:.3f}" for x in lines)
    return figure(name, meaning, line_chart(f"{name} by {x_label}", told, lines, x_label=x_label, y_label=""))


def _file(path: Path) -> Path:
    if path.is_file() and not path.name.startswith(_TENSORBOARD):
        return path
    found = sorted(path.glob("**/metrics.csv"), key=lambda one: one.stat().st_mtime)
    if not found and (path.is_file() or any(path.glob(f"**/{_TENSORBOARD}*"))):
        raise ValueError(
            f"curves names {path}, which TensorBoard's logger wrote, and curves are read from what "
            "Lightning's CSVLogger writes: give the Trainer one beside it, or give (step, value) points by "
            "name in a dict"
        )
    if not found:
        raise ValueError(
            f"curves names {path}, which is no metrics.csv and no folder that holds one: name what "
            "Lightning's CSVLogger wrote"
        )
    return found[-1]


def _numbers(path: Path, x: str | None, y: str) -> Point:
    try:
        return float(x or "nan"), float(y)
    except ValueError:
        raise ValueError(
            f"{path} has {y!r} at {x!r}, expected numbers: name a file that Lightning's CSVLogger wrote"
        ) from None


def _of_points(name: Any, points: Iterable[Any]) -> list[Point]:
    curve = _Curve()
    try:
        for x, y in points:
            curve.add(float(x), float(y))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the curve {name!r} holds {error}, expected pairs of numbers (x, y): mend it"
        ) from error
    return curve.finished()


def _mean(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)

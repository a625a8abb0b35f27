"""Runs a program as far as its training, to get at the model that it builds."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from merlin_migrate.weights import CheckpointError


class _Training(BaseException):
    """Ends a program where its model would be trained or asked. No ``except Exception`` of it stops this."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model


def model_of(source: bytes, path: Path, arguments: Sequence[str] = ()) -> Any:
    """The first model that a program trains, evaluates or asks, before that happens.

    The program is run in this process as the main one: what it does before is done.

    Args:
        source: of the program.
        path: where it is, or is taken to be.
        arguments: of its command line.

    Raises:
        CheckpointError: if it fails or ends before it comes to a model.
    """
    main = types.ModuleType("__main__")
    main.__file__ = str(path)
    try:
        code = compile(source, str(path), "exec")
        with _as_main(main, path, arguments), _stopped():
            exec(code, main.__dict__)
    except _Training as found:
        # What to_lightning() of a legacy model gave holds that model.
        parent = getattr(found.model, "parent", None)
        return parent if hasattr(parent, "heads") else found.model
    except SystemExit as end:
        raise CheckpointError(
            f"{path} ends with {end.code!r} before it trains a model: give its own arguments after --"
        ) from end
    except Exception as error:
        raise CheckpointError(
            f"{path} fails before it trains a model: {type(error).__name__}: {error}"
        ) from error
    if (model := vars(main).get("model")) is not None:
        return model
    raise CheckpointError(
        f"{path} trains no model and has none that is called model: give a program that does"
    )


@contextlib.contextmanager
def _as_main(main: types.ModuleType, path: Path, arguments: Sequence[str]) -> Iterator[None]:
    kept = sys.modules["__main__"], list(sys.argv), list(sys.path)
    sys.modules["__main__"] = main
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        sys.modules["__main__"], sys.argv, sys.path[:] = kept


@contextlib.contextmanager
def _stopped() -> Iterator[None]:
    """Every way to train or ask a model ends the program."""
    with contextlib.ExitStack() as stack:
        for owner, names, stop in _ways():
            for name in names:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, stop)
        yield


def _ways() -> Iterator[tuple[Any, tuple[str, ...], Any]]:
    import lightning
    import transformers4rec.torch as tr

    import merlin_models_torch as mm

    def own(self: Any, *_: Any, **__: Any) -> None:
        raise _Training(getattr(self, "model", None))

    def itself(self: Any, *_: Any, **__: Any) -> None:
        raise _Training(self)

    def given(self: Any, model: Any, *_: Any, **__: Any) -> None:
        raise _Training(model)

    yield tr.Trainer, ("train", "evaluate", "predict"), own
    yield tr.Model, ("fit", "evaluate"), itself
    yield mm.Model, ("predict",), itself
    yield mm.Step, ("__init__",), given
    methods = ("fit", "validate", "test", "predict")
    yield lightning.Trainer, methods, given
    with contextlib.suppress(ImportError):
        import pytorch_lightning

        yield pytorch_lightning.Trainer, methods, given

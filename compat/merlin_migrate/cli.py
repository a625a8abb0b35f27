"""``merlin-migrate``: rewrites programs and converts weights."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from merlin_migrate import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments; those of the process if not given.

    Returns:
        0 if all is done, 1 if changes or marks are pending, 2 if something failed.
    """
    options = _parser().parse_args(argv)
    if options.command == "rewrite":
        return rewrite(
            options.paths,
            write=options.write,
            colour=_colour(options.color, sys.stdout),
            out=sys.stdout,
            err=sys.stderr,
        )
    return checkpoint(options.weights, options.model, options.output, out=sys.stdout, err=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="merlin-migrate", description=__doc__)
    parser.add_argument("--version", action="version", version=f"merlin-migrate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "rewrite",
        help="rewrite programs for Transformers4Rec to merlin_models_torch",
        description="Shows what would change; --write changes the files. Exit code: 0 nothing left to do, "
        "1 changes or marks pending, 2 failures.",
    )
    one.add_argument("paths", nargs="+", metavar="PATH", help="Python files, or folders of them")
    one.add_argument("--write", action="store_true", help="replace the files")
    one.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours of the diff"
    )
    two = commands.add_parser(
        "checkpoint",
        help="put the weights of a Transformers4Rec model into a saved model",
        description="Reads pytorch_model.bin (weights only, nothing in it is run) or model.safetensors, and "
        "writes a copy of the model folder with these weights.",
    )
    two.add_argument(
        "weights", metavar="WEIGHTS", help="pytorch_model.bin, model.safetensors or a folder with one"
    )
    two.add_argument("model", metavar="MODEL", help="folder that model.save() wrote for the rewritten model")
    two.add_argument("output", metavar="OUTPUT", help="folder to write, new or empty")
    return parser


def _colour(choice: str, stream: TextIO) -> bool:
    if choice == "auto":
        return stream.isatty() and "NO_COLOR" not in os.environ
    return choice == "always"


def rewrite(paths: Sequence[str | Path], *, write: bool, colour: bool, out: TextIO, err: TextIO) -> int:
    """Rewrites files, or shows the differences.

    Args:
        paths: files and folders.
        write: replace the files; else only show.
        colour: of the differences.
        out: where the differences go.
        err: where the summary goes.

    Returns:
        The exit code.
    """
    from merlin_migrate.codemod import rewrite_source
    from merlin_migrate.files import python_files, replace_file
    from merlin_migrate.report import Report, diff

    report = Report()
    try:
        files = list(python_files(paths))
    except FileNotFoundError as error:
        err.write(f"merlin-migrate: {error}\n")
        return 2
    for path in files:
        if path.suffix != ".py":
            report.skipped[path] = "only .py files are rewritten"
            continue
        try:
            result = rewrite_source(path.read_bytes())
            if write and result.changed:
                replace_file(path, result.after)
        except (ValueError, OSError, RecursionError) as error:
            report.failed[path] = " ".join(str(error).split())
            continue
        report.add(path, result)
        if result.changed and not write:
            for line in diff(path, result, colour=colour):
                out.write(line + "\n")
    out.flush()
    for line in report.lines(written=write):
        err.write(line + "\n")
    return report.exit_code(written=write)


def checkpoint(
    weights: str | Path, model: str | Path, output: str | Path, *, out: TextIO, err: TextIO
) -> int:
    """Converts weights.

    Args:
        weights: file or folder of the legacy weights.
        model: folder of the new model.
        output: folder to write.
        out: where the summary goes.
        err: where errors go.

    Returns:
        The exit code.
    """
    from merlin_migrate.checkpoint import CheckpointError, convert_folder

    try:
        count = convert_folder(weights, model, output)
    except (CheckpointError, OSError) as error:
        err.write(f"merlin-migrate: {error}\n")
        return 2
    out.write(f"{count} tensors of {weights} are now in {output}\n")
    return 0

"""The arguments of ``merlin-migrate``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from merlin_migrate import __version__


def arguments_of(argv: Sequence[str]) -> tuple[argparse.Namespace, Sequence[str]]:
    """The arguments of a command, and those behind ``--`` of the programs that ``checkpoint`` runs.

    Args:
        argv: words of the command line, without the name of the program.

    Raises:
        SystemExit: if they are not known, after the usage has been written to stderr.
    """
    own, others = _apart(argv)
    return _parser().parse_args(own), others


def _apart(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Our arguments, and those after ``--`` of the programs that ``checkpoint`` runs."""
    if argv[:1] != ["checkpoint"] or "--" not in argv:
        return argv, ()
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="merlin-migrate", description=__doc__)
    parser.add_argument("--version", action="version", version=f"merlin-migrate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_rewrite(commands)
    two = commands.add_parser(
        "report",
        help="count the legacy names that programs use, and how many move by themselves",
        description="Changes nothing. Exit code: 0 no legacy names, 1 some, 2 failures, or no file at all.",
    )
    _add_paths(two)
    three = commands.add_parser(
        "names",
        help="look a legacy name up",
        description="Shows the entries of the table of names that have all of the words. Exit code: 1 if "
        "there is none.",
    )
    three.add_argument("words", nargs="+", metavar="WORD", help="a name, or part of one, old or new")
    commands.add_parser(
        "doctor",
        help="look for what stands in the way: versions, both distributions at once, shadowing",
        description="Exit code: 0 all is well, 1 something is to be mended.",
    )
    _add_checkpoint(commands)
    return parser


def _add_rewrite(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "rewrite",
        help="rewrite programs for Transformers4Rec and Merlin Models to merlin_models_torch",
        description="Shows what would change; --write changes the files. Exit code: 0 nothing left to do, "
        "1 changes or marks pending, 2 failures, or no file at all.",
    )
    _add_paths(one)
    what = one.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="replace the files")
    what.add_argument("--check", action="store_true", help="show no differences, only what is pending")
    one.add_argument(
        "--rule",
        action="append",
        type=_rule,
        metavar="NUMBER",
        help="run only this rule, such as MM103 (imports follow); may be repeated",
    )
    one.add_argument(
        "--modern",
        action="store_true",
        help="leave out the options that keep the old numbers, and mark each place",
    )
    one.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours of the diff"
    )


def _add_checkpoint(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    five = commands.add_parser(
        "checkpoint",
        usage="merlin-migrate checkpoint [OPTIONS] WEIGHTS MODEL OUTPUT [-- ARGUMENTS OF THE PROGRAMS]",
        help="put the weights of an old model into a saved new one, and compare what both answer",
        description="Reads weights (nothing in the file is run) and writes a folder for "
        "merlin_models_torch.load. Programs are run as far as their training, with what stands after --. "
        "Exit code: 0 the answers are the same, 1 there were none to compare with, 2 failures; then nothing "
        "is written.",
    )
    five.add_argument(
        "weights",
        type=Path,
        metavar="WEIGHTS",
        help="pytorch_model.bin, model.safetensors, a .ckpt of Lightning, or a folder with one of the former",
    )
    five.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="the old program, the rewritten one, or a folder that model.save() wrote for the latter",
    )
    five.add_argument("output", type=Path, metavar="OUTPUT", help="folder to write, new or empty")
    five.add_argument("--old", type=Path, metavar="PROGRAM", help="the old program, where MODEL is not it")
    five.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="answers of the old model, as unpickle_model.py writes them; found by itself beside WEIGHTS",
    )
    five.add_argument("--data", type=Path, metavar="FILE", help="parquet to ask for, instead of made-up rows")


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="programs, notebooks, or folders of them")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files and folders of this name or path, such as 'old_*'; may be repeated",
    )


def _rule(number: str) -> str:
    from merlin_migrate.codemod import RULES

    known = sorted(rule.number for rule in RULES)
    if number.upper() not in known:
        raise argparse.ArgumentTypeError(f"there is no rule {number}, only {', '.join(known)}")
    return number.upper()

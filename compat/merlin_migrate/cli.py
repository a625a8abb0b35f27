"""``merlin-migrate``: rewrites programs and converts weights."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from merlin_migrate.options import arguments_of

if TYPE_CHECKING:
    from merlin_migrate.codemod import Result
    from merlin_migrate.convert import Source


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: arguments; those of the process if not given.

    Returns:
        0 if all is done, 1 if changes or marks are pending, 2 if something failed.
    """
    options, arguments = arguments_of(sys.argv[1:] if argv is None else argv)
    out, err = sys.stdout, sys.stderr
    if options.command == "rewrite":
        work = Rewriting(rules=options.rule, modern=options.modern, write=options.write)
        colour = _colour(options.color, out)
        return rewrite(
            options.paths, work, exclude=options.exclude, check=options.check, colour=colour, out=out, err=err
        )
    if options.command == "report":
        return report(options.paths, exclude=options.exclude, out=out, err=err)
    if options.command == "names":
        return names(options.words, out=out)
    if options.command == "doctor":
        return doctor(out=out)
    from merlin_migrate.convert import Source

    source = Source(options.model, options.old, options.answers, options.data, arguments)
    return checkpoint(options.weights, source, options.output, out=out, err=err)


def run() -> int:
    """The command line of a process: quiet where what it writes to has gone, as behind ``| head``."""
    try:
        return main()
    except BrokenPipeError:
        # Python would try to write the rest once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _colour(choice: str, stream: TextIO) -> bool:
    if choice == "auto":
        return stream.isatty() and "NO_COLOR" not in os.environ
    return choice == "always"


@dataclass(frozen=True)
class Rewriting:
    """How files are rewritten; a function of a path that other processes can run.

    Args:
        rules: numbers of the rules to run; all if None.
        modern: whether options that keep the old behaviour are left out.
        write: whether files are replaced.
    """

    rules: Sequence[str] | None = None
    modern: bool = False
    write: bool = False

    def __call__(self, path: Path) -> Result | str | None:
        """The result; why there is none; or None for a file of another kind."""
        from merlin_migrate.codemod import rewrite_notebook, rewrite_source
        from merlin_migrate.files import ENDINGS, replace_file

        if path.suffix not in ENDINGS:
            return None
        how = rewrite_notebook if path.suffix == ".ipynb" else rewrite_source
        try:
            result = how(path.read_bytes(), rules=self.rules, modern=self.modern)
            if self.write and result.changed:
                replace_file(path, result.after)
        except (ValueError, OSError, RecursionError) as error:
            return " ".join(str(error).split())
        return result


def rewrite(
    paths: Sequence[str | Path],
    work: Rewriting,
    *,
    exclude: Sequence[str] = (),
    check: bool = False,
    colour: bool,
    out: TextIO,
    err: TextIO,
) -> int:
    """Rewrites files, or shows the differences.

    Args:
        paths: files and folders.
        work: how.
        exclude: patterns of files and folders to leave out.
        check: show no differences.
        colour: of the differences.
        out: where the differences go.
        err: where the summary goes.

    Returns:
        The exit code.
    """
    from merlin_migrate.files import chosen_files
    from merlin_migrate.report import Report, diff
    from merlin_migrate.work import each

    report = Report()
    try:
        files = chosen_files(paths, exclude=exclude)
    except FileNotFoundError as error:
        err.write(f"merlin-migrate: {error}\n")
        return 2
    differences: list[str] = []
    for path, result in each(work, files, progress=err if err.isatty() else None):
        if result is None:
            report.skipped[path] = "only .py and .ipynb files are rewritten"
        elif isinstance(result, str):
            report.failed[path] = result
        else:
            report.add(path, result)
            if result.changed and not work.write and not check:
                differences += diff(path, result, colour=colour)
    out.writelines(f"{line}\n" for line in differences)
    out.flush()
    for line in report.lines(written=work.write):
        err.write(line + "\n")
    return report.exit_code(written=work.write)


def _used(path: Path, *, work: Rewriting) -> tuple[Result | str | None, object]:
    from merlin_migrate.codemod import Result
    from merlin_migrate.usage import usage

    result = work(path)
    return result, usage(path, result) if isinstance(result, Result) and result.touches_legacy else None


def report(paths: Sequence[str | Path], *, exclude: Sequence[str] = (), out: TextIO, err: TextIO) -> int:
    """Counts the legacy names that files use.

    Args:
        paths: files and folders.
        exclude: patterns of files and folders to leave out.
        out: where the table goes.
        err: where failures go.

    Returns:
        The exit code.
    """
    from merlin_migrate.files import chosen_files
    from merlin_migrate.report import marked_places
    from merlin_migrate.usage import Usage
    from merlin_migrate.work import each

    try:
        files = chosen_files(paths, exclude=exclude)
    except FileNotFoundError as error:
        err.write(f"merlin-migrate: {error}\n")
        return 2
    total, using, failed = Usage(), 0, 0
    places: list[str] = []
    work = functools.partial(_used, work=Rewriting())
    for path, (result, found) in each(work, files, progress=err if err.isatty() else None):
        if isinstance(result, str):
            failed += 1
            err.write(f"{path}: failed, {result}\n")
        if isinstance(found, Usage) and found.before:
            using += 1
            total.add(found)
        if not isinstance(result, str | None):
            places += marked_places(path, result, written=False)
    out.writelines(f"{line}\n" for line in total.lines())
    if places:
        out.write(f"\nplaces to do by hand, which the rewritten program marks: {len(places)}\n")
        out.writelines(f"{line}\n" for line in places)
    out.write(f"in {using} of {len(files)} files, {failed} failed\n")
    return 2 if failed else int(bool(using))


def names(words: Sequence[str], *, out: TextIO) -> int:
    """Looks names up in the table.

    Args:
        words: all of which an entry's names or replacement have.
        out: where entries go.

    Returns:
        The exit code.
    """
    from merlin_migrate.table import entries

    found = 0
    for entry in entries():
        text = " ".join((entry.name, *entry.also, entry.replacement)).lower()
        if all(word.lower() in text for word in words):
            found += 1
            out.write(f"{entry.name} ({entry.kind}): {entry.details}\n")
            for argument, becomes in entry.arguments.items():
                out.write(f"    {argument}: {becomes}\n")
    if not found:
        out.write(f"no name has {' and '.join(map(repr, words))}{_near(words)}\n")
    return int(not found)


def _near(words: Sequence[str]) -> str:
    """Last parts of names that look like one of the words."""
    import difflib

    from merlin_migrate.table import entries

    parts = {name.rpartition(".")[2] for entry in entries() for name in (entry.name, *entry.also)}
    near = [match for word in words for match in difflib.get_close_matches(word, parts, n=3, cutoff=0.75)]
    return f"; near it are {', '.join(near)}" if near else ""


def doctor(*, out: TextIO) -> int:
    """Says what is installed and what stands in the way.

    Args:
        out: where it goes.

    Returns:
        The exit code.
    """
    from merlin_migrate.doctor import facts, problems

    out.writelines(f"{line}\n" for line in facts())
    found = list(problems())
    out.writelines(f"to mend: {line}\n" for line in found)
    if not found:
        out.write("nothing stands in the way\n")
    return int(bool(found))


def checkpoint(weights: Path, source: Source, output: Path, *, out: TextIO, err: TextIO) -> int:
    """Converts weights.

    Args:
        weights: file or folder of the legacy weights.
        source: of the new model and of the old one's answers.
        output: folder to write.
        out: where the summary goes.
        err: where errors go.

    Returns:
        The exit code.
    """
    from merlin_migrate.convert import convert
    from merlin_migrate.weights import GUIDE, CheckpointError

    try:
        count, compared = convert(weights, source, output)
    except (CheckpointError, OSError) as error:
        err.write(f"merlin-migrate: {error}\n")
        return 2
    out.write(f"{count} tensors of {weights} are now in {output}\n")
    if compared is None:
        out.write(
            "not checked: nothing says what the old model answers; give its program by --old, or --answers, "
            f"{GUIDE}\n"
        )
        return 1
    best = "" if compared.same_best is None else f", {compared.same_best} of them the same 10 best items"
    out.write(
        f"checked: {compared.rows} rows have the scores of {compared.by} (largest difference "
        f"{compared.difference:.1g}){best}\n"
    )
    return 0

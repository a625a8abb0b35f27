"""The migration guides: tables fresh, anchors there, links alive, every code block run."""

from __future__ import annotations

import re
import shlex
import sys
import types
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from deprecation import DeprecatedWarning
from merlin_migrate import unpickle_model
from merlin_migrate.cli import main
from merlin_migrate.guides import main as guides_main
from merlin_migrate.guides import stale_pages
from merlin_migrate.table import entries

from tests.equivalence.make_data import Sessions, write_windows

GUIDES = Path(__file__).parents[2] / "migration_guides"
PAGES = sorted(GUIDES.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    line: int
    language: str
    role: str
    text: str


def _blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(text[: found.start()].count("\n") + 2, found[1], found[2] or "", found[3])
        for found in BLOCK.finditer(text)
    ]


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_tables_and_rewritten_programs_are_fresh() -> None:
    stale = [path.name for path in stale_pages(GUIDES)]
    assert stale == [], "run: python -m merlin_migrate.guides migration_guides"


def test_a_stale_page_is_found_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "from-transformers4rec.md"
    good = (GUIDES / page.name).read_text()
    page.write_text(good.replace("| alias |", "| wrong |"))
    assert guides_main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{page}: stale\n"
    assert guides_main([str(tmp_path)]) == 0
    assert page.read_text() == good
    assert guides_main(["--check", str(tmp_path)]) == 0


def test_every_name_points_to_a_heading_and_stands_in_a_table() -> None:
    anchors = {page.name: _anchors(page) for page in PAGES}
    for entry in entries():
        page, _, anchor = entry.guide.partition("#")
        assert anchor in anchors[page], entry.name
        assert f"| `{entry.name}` |" in (GUIDES / page).read_text(), entry.name


def test_comments_of_the_rules_point_to_headings() -> None:
    source = Path(sys.modules["merlin_migrate.cli"].__file__ or "").parent / "codemod"
    used: dict[str, set[str]] = {}
    for text in (path.read_text() for path in source.rglob("*.py")):
        page = re.search(r'guide: ClassVar\[str\] = "([\w.-]+)"\n', text.partition("# Names")[0])
        marks = re.findall(r'\.mark\(.*?"([\w-]+)"\)', text)
        used.setdefault(page[1] if page else "from-transformers4rec.md", set()).update(marks)
    expected = {"inputs", "body", "model", "training", "metrics", "not-yet", "imports"}
    assert expected <= used["from-transformers4rec.md"]
    assert used["from-merlin-models-torch.md"] == {"what-stays"}
    for page_name, anchors in used.items():
        assert anchors <= _anchors(GUIDES / page_name), page_name


def test_messages_point_to_headings() -> None:
    anchors = {page.name: _anchors(page) for page in PAGES}
    root = GUIDES.parent
    found = 0
    for source in (*(root / "compat").rglob("*.py"), *(root / "merlin_models_torch").rglob("*.py")):
        text = source.read_text(encoding="utf-8")
        told = re.findall(r"migration_guides/([\w-]+\.md)(?:#([\w-]+))?", text)
        told += [("checkpoints.md", anchor) for anchor in re.findall(r"\{GUIDE\}#([\w-]+)", text)]
        for name, anchor in told:
            assert name in anchors, source
            assert not anchor or anchor in anchors[name], (source, anchor)
        found += len(told)
    assert found > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", page.read_text())):
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.is_file(), target
        assert not anchor or anchor in _anchors(found), target


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with session data, in which the blocks run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "unpickle_model", unpickle_model)  # which a reader copies
    sessions = Sessions(items=150, categories=6)
    folder = write_windows(tmp_path / "made", sessions, windows=1, train=64, valid=40)
    (folder / "1").rename(tmp_path / "data")
    (folder / "schema.pbtxt").rename(tmp_path / "data" / "schema.pbtxt")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.filterwarnings("ignore")
def test_every_block_runs(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = types.ModuleType("old"), types.ModuleType("new")
    blocks = _blocks(page)
    if page.name == "checkpoints.md":  # which begins where a program has been trained
        trained = next(place for place, block in enumerate(blocks) if block.role == "before")
        blocks.insert(0, blocks.pop(trained))
    # The commands on a page are about its first whole program, and after it about that finished by hand.
    first = next((block.text for block in blocks if block.role == "before"), None)
    if first is not None:
        (workplace / "program.py").write_text(first)
    for block in blocks:
        if block.language == "console":
            _run_commands(block, old, capsys)
            continue
        assert block.language == "python", f"{page.name}:{block.line} is not run by this test"
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        if block.role == "marked":
            continue
        if block.role == "finished":
            (workplace / "program.py").write_text(block.text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecatedWarning)
            exec(code, (old if block.role == "before" else new).__dict__)


def _run_commands(block: Block, old: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for line in block.text.splitlines():
        command = shlex.split(line.removeprefix("$ "), comments=True)
        if command[:2] == ["python", "unpickle_model.py"]:
            torch.save(old.model, command[2])  # there is no pickle of the original here
            unpickle_model.main(command[2:])
            continue
        if command[0] != "merlin-migrate":
            assert command[0] in ("pip", "python"), line
            continue
        told = re.search(r"exit code (\d)", line)
        pending = command[1] == "rewrite" and not {"--write", "--check"} & set(command)
        assert main(command[1:]) == (int(told[1]) if told else int(pending)), capsys.readouterr().err

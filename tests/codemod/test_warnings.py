"""Warnings of legacy names: their words, their place, and what the filters do to them."""

from __future__ import annotations

import linecache
import subprocess
import sys
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import merlin_migrate
import pytest
from deprecation import DeprecatedWarning, UnsupportedWarning
from merlin_migrate.warnings import UnsupportedName, unsupported, warn_legacy, warning_for

HEAD = "transformers4rec.torch.Head"
COMPAT = Path(merlin_migrate.__file__).parents[1]


def _run(tmp_path: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "library.py").write_text(
        "import merlin_migrate.warnings as w\n\n\n"
        "def use():\n    w.warn_legacy('transformers4rec.torch.Model')\n"
    )
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    path = f"import sys; sys.path.insert(0, {str(COMPAT)!r})"
    (tmp_path / "start.py").write_text(
        f"{path}\nimport runpy\nrunpy.run_path('script.py', run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, *options, "start.py"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


SCRIPT = """\
    import merlin_migrate.warnings as w
    import library
    for _ in range(3):
        w.warn_legacy("transformers4rec.torch.Head")
        library.use()
    w.warn_legacy("transformers4rec.torch.Head")
"""


def test_text_names_old_new_versions_and_guide() -> None:
    warning = warning_for(HEAD)
    assert type(warning) is DeprecatedWarning
    assert str(warning) == (
        "transformers4rec.torch.Head is deprecated as of 0.1.0 and will be removed in 1.0.0. "
        "Use mm.Model instead. mm.Model(body, output) takes body and output at once. "
        "See migration_guides/from-transformers4rec.md#model"
    )


def test_versions_decide_about_the_category() -> None:
    assert warning_for(HEAD, version="0.0.9") is None
    assert type(warning_for(HEAD, version="0.9")) is DeprecatedWarning
    removed = warning_for(HEAD, version="1.0.0")
    assert type(removed) is UnsupportedWarning
    assert str(removed).startswith("transformers4rec.torch.Head is unsupported as of 1.0.0.")


def test_a_method_has_the_entry_of_its_class() -> None:
    assert "Use mm.Block instead" in str(warning_for("transformers4rec.torch.SequentialBlock.append"))


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"has no 'nothing\.known': add it to merlin_migrate/table"):
        warn_legacy("nothing.known")


def test_unsupported_says_reason_alternative_and_guide() -> None:
    error = unsupported("transformers4rec.torch.utils.data_utils.ParquetDataset")
    assert isinstance(error, UnsupportedName)
    assert str(error) == (
        "transformers4rec.torch.utils.data_utils.ParquetDataset is not in merlin-models-torch-compat "
        f"{merlin_migrate.__version__}. Use mm.ParquetLoader instead. One loader reads every parquet file. "
        "See migration_guides/from-transformers4rec.md#schema-and-data."
    )


def test_points_at_the_line_of_the_user_through_frames_of_ours() -> None:
    inner = ModuleType("transformers4rec.torch.fake")
    exec("def make(warn):\n    warn('transformers4rec.torch.Head')\n", inner.__dict__)
    outer = ModuleType("torch.nn.fake")
    exec("def call(make, warn):\n    make(warn)\n", outer.__dict__)
    with pytest.warns(DeprecatedWarning) as caught:
        outer.call(inner.make, warn_legacy)
    frame = sys._getframe()
    assert [w.filename for w in caught] == [__file__]
    assert caught[0].lineno == frame.f_lineno - 3


def test_a_module_of_the_user_named_like_ours_is_the_user() -> None:
    user = ModuleType("transformers_of_mine")
    exec(compile("def f(w):\n    w('transformers4rec.torch.Head')\n", "mine.py", "exec"), user.__dict__)
    with pytest.warns(DeprecatedWarning) as caught:
        user.f(warn_legacy)
    assert (caught[0].filename, caught[0].lineno) == ("mine.py", 2)


def test_a_dataclass_of_the_user_is_told_where_it_is_made() -> None:
    @dataclass
    class Arguments:
        value: int = 0

        def __post_init__(self) -> None:
            inner.check(warn_legacy)

    inner = ModuleType("transformers4rec.fake")
    exec("def check(warn):\n    warn('transformers4rec.torch.Head')\n", inner.__dict__)
    outer = ModuleType("transformers.fake")
    exec("def make(cls):\n    return cls()\n", outer.__dict__)
    with pytest.warns(DeprecatedWarning) as caught:
        outer.make(Arguments)
    assert "post_init" in (linecache.getline(caught[0].filename, caught[0].lineno - 1))


def test_error_filter_raises_each_time() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(DeprecatedWarning, match=r"Use mm\.Model instead"):
                warn_legacy(HEAD)


def test_shown_once_for_each_line_in_scripts_and_in_modules(tmp_path: Path) -> None:
    shown = _run(tmp_path, SCRIPT).stderr.splitlines()
    places = [line.partition(": ")[0] for line in shown if "is deprecated" in line]
    assert sorted(places) == [f"{tmp_path / 'library.py'}:5", "script.py:4", "script.py:6"]


@pytest.mark.parametrize(
    ("option", "head", "model"),
    [
        ("-Wignore", 0, 0),
        ("-Wignore::DeprecationWarning", 0, 0),
        ("-Wignore:transformers4rec.torch.Head", 0, 1),
        ("-Wignore:transformers4rec", 0, 0),
        ("-Walways", 4, 3),
    ],
)
def test_filters_of_the_user_decide(tmp_path: Path, option: str, head: int, model: int) -> None:
    done = _run(tmp_path, SCRIPT, option)
    assert done.returncode == 0
    assert done.stderr.count("torch.Head is deprecated") == head
    assert done.stderr.count("torch.Model is deprecated") == model


def test_errors_by_option(tmp_path: Path) -> None:
    done = _run(tmp_path, SCRIPT, "-Werror::DeprecationWarning")
    assert done.returncode == 1
    assert "deprecation.DeprecatedWarning: transformers4rec.torch.Head is deprecated" in done.stderr


def test_a_filter_set_in_the_program_decides(tmp_path: Path) -> None:
    script = """\
        import warnings
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import library
        library.use()
    """
    assert _run(tmp_path, script).stderr == ""

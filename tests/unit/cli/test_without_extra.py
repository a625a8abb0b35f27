"""The command line where its extra is not installed says what to install."""

from importlib.util import find_spec

import pytest

from merlin_models_torch.cli import main

pytestmark = pytest.mark.skipif(
    find_spec("jsonargparse") is not None, reason="the extra 'cli' is installed here"
)


@pytest.mark.parametrize("command", [["fit", "SessionModel"], ["predict", "model", "data", "-o", "answers"]])
def test_the_extra_is_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 2
    assert "pip install 'merlin-models-torch[cli]'" in capsys.readouterr().err

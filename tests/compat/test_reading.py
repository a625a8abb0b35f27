"""XLNet leaves out of its last layer what its one task does not read, and nothing that others may read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers4rec import torch as tr
from transformers4rec.torch.block._reading import read_by
from transformers4rec.torch.model import _head
from transformers4rec.torch.model._reader import only_reader

from tests.compat import small

MODES: dict[str, dict[str, bool]] = {
    "training": {"training": True},
    "testing": {"testing": True},
    "inference": {},
}


def widths(model: tr.Model) -> list[torch.Size]:
    """Shapes that the last feed-forward layer gets, noted without a hook."""
    feed_forward = model.heads[0].body[-1].transformer.layer[-1].ff
    met: list[torch.Size] = []
    layer = feed_forward.layer_2

    class Noting(type(layer)):  # type: ignore[misc]
        def forward(self, inputs: torch.Tensor) -> Any:
            met.append(inputs.shape)
            return super().forward(inputs)

    layer.__class__ = Noting
    return met


def results(model: tr.Model, mode: str) -> tuple[Any, list[torch.Tensor]]:
    """What the model gives for a batch, and in training the gradients."""
    model.zero_grad()
    torch.manual_seed(3)
    found = model(small.batch(6), **MODES[mode])
    if mode != "training":
        return (found["predictions"], found["loss"]) if mode == "testing" else found, []
    found["loss"].backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return (found["loss"].detach(), found["predictions"].detach(), found["labels"]), gradients


@pytest.mark.filterwarnings("ignore:masking 'rtd' trains as:UserWarning")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("masking", ["mlm", "rtd", "causal"])
def test_results_are_those_of_the_whole_body(
    masking: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small.model(masking).train(mode == "training")
    met = widths(model)
    found = results(model, mode)
    if mode != "training" or masking == "mlm":
        assert len(met[0]) == 2
        assert met[0][0] < 6 * small.LENGTH * 0.8
    monkeypatch.setattr(_head, "only_reader", lambda *_, **__: None)
    expected = results(model, mode)
    assert met[1][:2] in ((6, small.LENGTH), (6, small.LENGTH + 1))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def two_tasks(model: tr.Model) -> None:
    head = model.heads[0]
    head.prediction_task_dict["more"] = tr.NextItemPredictionTask(task_name="more")


def own_task(model: tr.Model) -> None:
    class Own(tr.NextItemPredictionTask):
        pass

    model.heads[0].prediction_task_dict["next-item"].__class__ = Own


def own_block(model: tr.Model) -> None:
    model.heads[0].prediction_task_dict["next-item"].task_block = torch.nn.Sequential(torch.nn.Identity())


def normalised(model: tr.Model) -> None:
    block = tr.MLPBlock([8], normalization="batch_norm").build(torch.Size([-1, small.LENGTH, 8]))
    model.heads[0].prediction_task_dict["next-item"].task_block = block


def something_behind(model: tr.Model) -> None:
    model.heads[0].body.add_module("behind", torch.nn.Identity())


def hooked(model: tr.Model) -> None:
    model.heads[0].body[-1].transformer.layer[0].register_forward_hook(lambda *_: None)


def hooked_body(model: tr.Model) -> None:
    model.heads[0].body.register_forward_hook(lambda *_: None)


def patched(model: tr.Model) -> None:
    block = model.heads[0].body[-1]
    forward = block.forward
    block.forward = lambda *args, **options: forward(*args, **options)


def no_module(model: tr.Model) -> None:
    block = model.heads[0].body[-1]
    del block.transformer
    block.transformer = "nothing that can be called"


def own_output(model: tr.Model) -> None:
    model.heads[0].body[-1].output_fn = lambda outputs: outputs[0]


@pytest.mark.parametrize(
    "change",
    [
        two_tasks,
        own_task,
        own_block,
        normalised,
        something_behind,
        hooked,
        hooked_body,
        patched,
        own_output,
        no_module,
    ],
)
def test_nobody_reads_alone_where_a_program_may_look(change: Any) -> None:
    model = small.model()
    assert only_reader(model.heads[0], targets=True) is not None
    change(model)
    assert only_reader(model.heads[0], targets=True) is None


def test_a_layer_of_the_task_may_stand_behind() -> None:
    model = small.model()
    model.heads[0].prediction_task_dict["next-item"].task_block = tr.MLPBlock([8]).build(
        torch.Size([-1, small.LENGTH, 8])
    )
    assert only_reader(model.heads[0], targets=False) is not None


def test_a_body_called_by_itself_gives_every_position() -> None:
    model = small.model().eval()
    head = model.heads[0]
    whole = head.body(small.batch())
    with read_by(only_reader(head, targets=False)):
        left = head.body(small.batch())
    assert (left == 0).all(-1).any()
    assert not (whole == 0).all(-1).any()
    torch.testing.assert_close(model.heads[0].body(small.batch()), whole)


def test_targets_of_another_shape_leave_nothing_out() -> None:
    model = small.model().eval()
    head = model.heads[0]
    reader = only_reader(head, targets=True)
    assert reader is not None
    whole = head.body(small.batch())
    with read_by(reader._replace(wanted=lambda inputs: torch.ones(1, 1, dtype=torch.bool))):
        torch.testing.assert_close(head.body(small.batch()), whole)

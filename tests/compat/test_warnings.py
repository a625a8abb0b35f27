"""What a program is told of its legacy names: where, how often, and how to turn it into errors or off."""

import inspect
import warnings

import pytest
import torch
from deprecation import DeprecatedWarning
from transformers4rec import torch as tr
from transformers4rec.torch.ranking_metric import NDCGAt, RecallAt

from tests.compat.small import LENGTH, schema


def told(make):
    """Warnings of a call: the text of each and the line of this file that it points at, from the call on."""
    first = inspect.getsourcelines(make)[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        make()
    assert {str(w.filename) for w in caught} <= {__file__}
    return [(w.lineno - first, w.category, str(w.message)) for w in caught]


def test_each_name_is_told_at_its_line_with_successor_versions_and_guide():
    def program():
        metric = NDCGAt(top_ks=[5], labels_onehot=True)
        tr.NextItemPredictionTask(weight_tying=True, metrics=[metric])

    (line, category, text), (second, _, other) = told(program)
    assert (line, second) == (1, 2)
    assert issubclass(category, DeprecatedWarning)
    assert text == (
        "transformers4rec.torch.ranking_metric.NDCGAt is deprecated as of 0.1.0 and will be removed in 1.0.0."
        ' Use mm.CategoricalOutput(metrics=("ndcg",), top_ks=...) instead. '
        "See migration_guides/from-transformers4rec.md#metrics"
    )
    assert other.startswith("transformers4rec.torch.NextItemPredictionTask is deprecated as of 0.1.0")


def test_a_line_that_runs_again_is_told_once():
    def program():
        for _ in range(3):
            RecallAt(top_ks=[5])

    assert len(told(program)) == 1


def test_parts_that_the_drop_in_makes_itself_are_silent():
    def program():
        tr.TabularSequenceFeatures.from_schema(
            schema(), max_sequence_length=LENGTH, masking="mlm", d_output=8, continuous_projection=8
        )

    ((_, _, text),) = told(program)
    assert text.startswith("transformers4rec.torch.TabularSequenceFeatures.from_schema is deprecated")


def test_a_subclass_of_the_users_own_is_told_where_it_is_made():
    class Mine(tr.NextItemPredictionTask):
        pass

    def program():
        Mine(metrics=[])

    ((line, _, text),) = told(program)
    assert line == 1
    assert text.startswith("transformers4rec.torch.NextItemPredictionTask is deprecated")


def test_warnings_can_be_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecatedWarning)
        with pytest.raises(DeprecatedWarning, match=r"transformers4rec\.torch\.MLPBlock is deprecated"):
            tr.MLPBlock([8])


def test_warnings_can_be_off():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", DeprecatedWarning)
        tr.MLPBlock([8])
    assert caught == []


def _body(masking, attn_type="bi"):
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, masking=masking, d_output=8
    )
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, attn_type=attn_type)
    return tr.TransformerBlock(config, masking=inputs.masking)


def _leaks(make):
    return [text for _, category, text in told(make) if category is UserWarning]


@pytest.mark.parametrize("name", ["causal", "clm"])
def test_the_leak_of_causal_over_both_sides_is_told_once_with_the_way_out(name):
    def program():
        _body(name)
        _body(name)

    (text,) = _leaks(program)
    assert text.startswith(
        "XLNetModel looks both ways, and masking 'causal' does not stop it: the target leaks"
    )
    assert "Use masking='mlm'" in text
    assert "attn_type='uni'" in text
    assert text.endswith("migration_guides/from-transformers4rec.md#masking")


def test_no_leak_is_told_where_there_is_none():
    def program():
        _body("mlm")
        _body("causal", attn_type="uni")

    assert _leaks(program) == []


def test_a_loss_without_targets_is_nan_and_told_once():
    from tests.compat.small import batch, model

    lonely = {name: x * (x.new_tensor([1, 0, 0, 0, 0, 0])) for name, x in batch(2).items()}
    losses = []

    def program():
        built = model("mlm")
        losses.extend(built(lonely, training=True)["loss"] for _ in range(2))

    texts = [text for _, category, text in _told_anywhere(program) if category is UserWarning]
    assert len(texts) == 1
    assert texts[0].startswith("a batch has no item to predict, so its loss is nan")
    assert all(loss.isnan() for loss in losses)


def test_a_loss_that_is_not_the_mean_over_targets_is_told_once():
    from transformers4rec.torch._kept import Kept

    # Rows 4 and 2, losses 1 and 3: (4 + 6) / 6. Targets 1 and 9 would give 2.8, targets 8 and 4 the same.
    even, uneven = (
        Kept(4, [torch.tensor(1.0), torch.tensor(3.0)], labels=[torch.zeros(a), torch.zeros(b)], rows=6)
        for a, b in ((8, 4), (1, 9))
    )
    assert _told_anywhere(lambda: even.loss()) == []
    ((_, _, text),) = _told_anywhere(lambda: [uneven.loss(), uneven.loss()])
    assert text.startswith("the loss of the evaluation weighs batches by their rows, not by their targets")
    assert uneven.loss() == pytest.approx(10 / 6)


def _told_anywhere(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        make()
    return [(w.lineno, w.category, str(w.message)) for w in caught]

"""Maskings: positions and targets by hand, draws in the order of 23.12.0."""

import pytest
import torch
from transformers4rec.torch.masking import (
    CausalLanguageModeling,
    MaskedLanguageModeling,
    MaskingInfo,
    MaskSequence,
    masking_registry,
)

IDS = torch.tensor([[3, 4, 5, 0], [7, 0, 0, 0], [1, 2, 8, 9]])
T, F = True, False


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("clm", CausalLanguageModeling),
        ("causal", CausalLanguageModeling),
        ("mlm", MaskedLanguageModeling),
        ("masked", MaskedLanguageModeling),
    ],
)
def test_maskings_by_name(name, cls):
    assert masking_registry.parse(name) is cls


@pytest.mark.parametrize(
    ("options", "mode", "schema", "targets"),
    [
        (
            {},
            {"training": True},
            [[T, T, F, F], [F, F, F, F], [T, T, T, F]],
            [[4, 5, 0, 0], [0, 0, 0, 0], [2, 8, 9, 0]],
        ),
        (
            {"train_on_last_item_seq_only": True},
            {"training": True},
            [[T, T, T, F], [T, F, F, F], [T, T, T, T]],
            [[0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 9, 0]],
        ),
        (
            {},
            {"testing": True},
            [[T, T, T, F], [T, F, F, F], [T, T, T, T]],
            [[0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 9, 0]],
        ),
        (
            {"eval_on_last_item_seq_only": False},
            {"testing": True},
            [[T, T, F, F], [F, F, F, F], [T, T, T, F]],
            [[4, 5, 0, 0], [0, 0, 0, 0], [2, 8, 9, 0]],
        ),
        ({}, {}, [[T, T, T, F], [T, F, F, F], [T, T, T, T]], IDS.tolist()),
    ],
)
def test_causal_positions_and_targets(options, mode, schema, targets):
    masking = CausalLanguageModeling(hidden_size=2, **options)
    info = masking.compute_masked_targets(IDS, **mode)
    assert info.schema.tolist() == schema
    assert info.targets.tolist() == targets
    assert masking.mask_schema is info.schema
    assert masking.masked_targets is info.targets


def test_causal_inputs_lose_their_last_column_and_hide_what_has_no_target():
    masking = CausalLanguageModeling(hidden_size=1)
    inputs = torch.arange(1.0, 13.0).view(3, 4, 1)
    vector = masking.masked_item_embedding.item()
    trained = masking(inputs, IDS, training=True)[..., 0]
    expected = [[1, 2, vector, vector], [vector] * 4, [9, 10, 11, vector]]
    torch.testing.assert_close(trained, torch.tensor(expected))
    evaluated = masking(inputs, IDS, testing=True)[..., 0]
    expected = [[1, 2, 3, vector], [5, vector, vector, vector], [9, 10, 11, 0]]
    torch.testing.assert_close(evaluated, torch.tensor(expected))
    predicted = masking(inputs, IDS)[..., 0]
    expected = [[1, 2, 3, vector], [5, vector, vector, vector], [9, 10, 11, 12]]
    torch.testing.assert_close(predicted, torch.tensor(expected))


@pytest.mark.parametrize(
    ("options", "mode", "schema", "targets"),
    [
        (
            {},
            {"testing": True},
            [[F, F, T, F], [T, F, F, F], [F, F, F, T]],
            [[0, 0, 5, 0], [7, 0, 0, 0], [0, 0, 0, 9]],
        ),
        (
            {"eval_on_last_item_seq_only": False},
            {"testing": True},
            [[T, T, F, F], [F, F, F, F], [T, T, T, F]],
            [[4, 5, 0, 0], [0, 0, 0, 0], [2, 8, 9, 0]],
        ),
        (
            {},
            {},
            [[F, F, F, T, F], [F, T, F, F, F], [F, F, F, F, T]],
            [[0, 0, 0, 5, 0], [0, 7, 0, 0, 0], [0, 0, 0, 0, 9]],
        ),
    ],
)
def test_masked_positions_and_targets(options, mode, schema, targets):
    info = MaskedLanguageModeling(hidden_size=2, **options).compute_masked_targets(IDS, **mode)
    assert info.schema.tolist() == schema
    assert info.targets.tolist() == targets


def test_masked_draws_come_in_the_order_of_23_12_0():
    ids = torch.randint(1, 50, (64, 12), generator=torch.Generator().manual_seed(0))
    ids *= torch.arange(12) < torch.randint(1, 13, (64, 1), generator=torch.Generator().manual_seed(1))
    masking = MaskedLanguageModeling(hidden_size=2, mlm_probability=0.3)
    torch.manual_seed(5)
    info = masking.compute_masked_targets(ids, training=True)
    torch.manual_seed(5)
    items = ids != 0
    hidden = torch.bernoulli(torch.full(ids.shape, 0.3)).bool() & items
    rows = torch.arange(64)
    hidden[rows, torch.multinomial(items.float(), 1)[:, 0]] = True
    shown = torch.multinomial(hidden.float(), 1)[:, 0]
    every = hidden.sum(1) == items.sum(1)
    hidden[rows[every], shown[every]] = False
    assert torch.equal(info.schema, hidden)
    assert torch.equal(info.targets, ids * hidden)


def test_masked_inputs_grow_by_one_position_at_inference():
    masking = MaskedLanguageModeling(hidden_size=1)
    inputs = torch.arange(1.0, 13.0).view(3, 4, 1)
    vector = masking.masked_item_embedding.item()
    expected = [[1, 2, 3, vector, 4], [5, vector, 7, 8, 8], [9, 10, 11, 12, vector]]
    torch.testing.assert_close(masking(inputs, IDS)[..., 0], torch.tensor(expected))


def test_another_padding_id_fills_the_targets():
    masking = MaskedLanguageModeling(hidden_size=1, padding_idx=99)
    ids = torch.where(IDS == 0, 99, IDS)
    info = masking.compute_masked_targets(ids, testing=True)
    assert info.targets.tolist() == [[99, 99, 5, 99], [7, 99, 99, 99], [99, 99, 99, 9]]


def test_a_masking_of_ones_own_is_found_by_its_name_and_used():
    @masking_registry.register("first-item-of-tests")
    class FirstItem(MaskSequence):
        def _compute_masked_targets(self, item_ids, training=False, testing=False):
            first = torch.zeros_like(item_ids, dtype=torch.bool)
            first[:, 0] = True
            return MaskingInfo(first, item_ids * first)

    masking = masking_registry.parse("first-item-of-tests")(hidden_size=1)
    hidden = masking(torch.ones(3, 4, 1), IDS, training=True)[..., 0]
    torch.testing.assert_close(hidden[:, 0], masking.masked_item_embedding.expand(3))
    assert masking.masked_targets[:, 0].tolist() == [3, 7, 1]
    torch.testing.assert_close(masking(torch.ones(3, 4, 1), IDS), torch.ones(3, 4, 1))


def test_ids_have_to_be_a_matrix():
    with pytest.raises(ValueError, match="item_ids has 1 dimensions, 2 are expected"):
        CausalLanguageModeling(hidden_size=1).compute_masked_targets(IDS[0])

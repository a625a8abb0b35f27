"""Maskings: positions and targets by hand, draws in the order of 23.12.0."""

import pytest
import torch
from transformers4rec.torch.masking import (
    CausalLanguageModeling,
    MaskedLanguageModeling,
    MaskingInfo,
    MaskSequence,
    PermutationLanguageModeling,
    ReplacementLanguageModeling,
    masking_registry,
)

from merlin_models_torch.masking import CausalMasking, RandomMasking

IDS = torch.tensor([[3, 4, 5, 0], [7, 0, 0, 0], [1, 2, 8, 9]])
T, F = True, False


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("clm", CausalLanguageModeling),
        ("causal", CausalLanguageModeling),
        ("mlm", MaskedLanguageModeling),
        ("masked", MaskedLanguageModeling),
        ("plm", PermutationLanguageModeling),
        ("permutation", PermutationLanguageModeling),
        ("rtd", ReplacementLanguageModeling),
        ("replacement", ReplacementLanguageModeling),
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
    with pytest.raises(AssertionError, match="item_ids has 1 dimensions, 2 are expected"):
        CausalLanguageModeling(hidden_size=1).compute_masked_targets(IDS[0])


def sessions(rows=40, steps=9, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 50, (rows, steps), generator=generator)
    return ids * (torch.arange(steps) < torch.randint(1, steps + 1, (rows, 1), generator=generator))


@pytest.mark.parametrize("mode", ["train", "evaluate"])
@pytest.mark.parametrize("last", [True, False])
def test_causal_is_what_the_core_does_with_its_legacy_options(mode, last):
    which = "last" if last else "all"
    core = CausalMasking(
        targets=which,
        evaluate_on=which,
        attention="full",
        replace_padding=True,
        blank_last=True,
        attend_to_padding=True,
    )
    ids = sessions()
    plan = getattr(core, mode)(ids, (ids != 0).sum(1))
    masking = CausalLanguageModeling(1, eval_on_last_item_seq_only=last, train_on_last_item_seq_only=last)
    info = masking.compute_masked_targets(ids, training=mode == "train", testing=mode == "evaluate")
    assert torch.equal(info.schema, ~plan.replaced)
    assert torch.equal(info.targets, plan.targets)


def test_masked_is_what_the_core_does():
    ids, core = sessions(), RandomMasking(probability=0.3, evaluate_single=True)
    masking = MaskedLanguageModeling(1, mlm_probability=0.3)
    for mode, flags in (("train", {"training": True}), ("evaluate", {"testing": True}), ("predict", {})):
        torch.manual_seed(3)
        plan = getattr(core, mode)(ids, (ids != 0).sum(1))
        torch.manual_seed(3)
        info = masking.compute_masked_targets(ids, **flags)
        assert torch.equal(info.schema, plan.targeted)
        if mode != "predict":
            assert torch.equal(info.targets, plan.targets)


def test_an_id_of_padding_between_items_is_never_hidden_and_moves_the_last_item():
    ids = torch.tensor([[3, 0, 5, 6, 0]])
    masking = MaskedLanguageModeling(hidden_size=1, mlm_probability=0.9)
    for seed in range(20):
        torch.manual_seed(seed)
        assert not masking.compute_masked_targets(ids, training=True).schema[0, [1, 4]].any()
    assert masking.compute_masked_targets(ids, testing=True).targets.tolist() == [[0, 0, 5, 0, 0]]


def permuted(ids=None, **options):
    masking = PermutationLanguageModeling(hidden_size=1, **options)
    torch.manual_seed(7)
    ids = sessions(300) if ids is None else ids
    info = masking.compute_masked_targets(ids, training=True)
    return masking, ids, info


def test_permutation_hides_spans_that_only_later_ones_of_an_order_see():
    masking, ids, info = permuted()
    assert torch.equal(info.targets, ids * info.schema)
    assert not (info.schema & (ids == 0)).any()
    # An item is left of a session that is one span, unless the span reaches into the padding.
    full = (ids != 0).all(1)
    assert full.any()
    assert not info.schema[full].all(1).any()
    unseen = masking.perm_mask.bool()
    # Nobody sees a target who is no target, and of two targets exactly one sees the other.
    pairs = info.schema[:, :, None] & info.schema[:, None, :]
    assert (unseen | ~(~info.schema[:, :, None] & info.schema[:, None, :])).all()
    others = pairs & ~torch.eye(9, dtype=torch.bool)
    assert ((unseen ^ unseen.transpose(1, 2)) | ~others).all()
    assert not (unseen & ~info.schema[:, None, :]).any()  # padding and other items are seen by all
    assert torch.equal(masking.target_mapping, torch.eye(9).expand(300, 9, 9))


def test_permutation_of_all_hides_all_but_one_and_maps_nothing():
    with pytest.warns(UserWarning, match="permute_all=True leaves target_mapping zero"):
        masking, ids, info = permuted(permute_all=True)
    assert torch.equal(info.schema.sum(1), (ids != 0).sum(1) - 1)
    assert not masking.target_mapping.any()


def test_permutation_in_evaluation_and_at_inference_asks_for_the_last_item():
    masking = PermutationLanguageModeling(hidden_size=1)
    info = masking.compute_masked_targets(IDS, testing=True)
    assert info.targets.tolist() == [[0, 0, 5, 0], [7, 0, 0, 0], [0, 0, 0, 9]]
    assert masking.perm_mask[0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]]
    with pytest.warns(UserWarning, match="the answers are for the last item, not for the one after it"):
        again = masking.compute_masked_targets(IDS)
    assert torch.equal(again.targets, info.targets)


def test_permutation_in_evaluation_of_all_items_is_causal():
    masking = PermutationLanguageModeling(hidden_size=1, eval_on_last_item_seq_only=False)
    info = masking.compute_masked_targets(IDS, testing=True)
    assert info.targets.tolist() == [[4, 5, 0, 0], [0, 0, 0, 0], [2, 8, 9, 0]]
    assert torch.equal(masking.perm_mask[1], torch.ones(4, 4).triu(1).long())


def test_replacement_hides_as_masked_does_and_says_so():
    with pytest.warns(UserWarning, match="masking 'rtd' trains as masking 'mlm' with mlm_probability=0.15"):
        replacement = ReplacementLanguageModeling(hidden_size=1, mlm_probability=0.9)
    ids, masked = sessions(), MaskedLanguageModeling(hidden_size=1)
    torch.manual_seed(1)
    info = replacement.compute_masked_targets(ids, training=True)
    torch.manual_seed(1)
    assert torch.equal(info.schema, masked.compute_masked_targets(ids, training=True).schema)


@pytest.mark.filterwarnings("ignore:masking 'rtd'")
def test_fake_tokens_stand_where_items_are_hidden():
    masking = ReplacementLanguageModeling(hidden_size=1)
    targets = torch.tensor([0, 4, 0, 0, 7, 0])
    ids = torch.tensor([[3, 4, 0], [6, 7, 8]])
    certain = torch.full((2, 10), -1e6)
    certain[0, 9], certain[1, 7] = 0, 0
    inputs, labels, updates = masking.get_fake_tokens(ids, targets, certain)
    assert inputs.tolist() == [[3, 9, 0], [6, 7, 8]]
    assert labels.tolist() == [[F, T, F], [F, F, F]]  # the true item, drawn by chance, is no replacement
    assert updates == []
    masking.sample_from_batch = True
    inputs, labels, updates = masking.get_fake_tokens(ids, targets, torch.tensor([[-1e6, 0.0], [0.0, -1e6]]))
    assert inputs.tolist() == [[3, 7, 0], [6, 4, 8]]
    assert updates.tolist() == [1, 0]


@pytest.mark.filterwarnings("ignore:masking 'rtd'")
def test_replacements_are_drawn_with_their_probabilities():
    masking = ReplacementLanguageModeling(hidden_size=1)
    torch.manual_seed(0)
    drawn = masking.sample_from_softmax(torch.tensor([0.7, 0.2, 0.1]).log().expand(20_000, 3))
    shares = drawn.bincount(minlength=3) / len(drawn)
    torch.testing.assert_close(shares, torch.tensor([0.7, 0.2, 0.1]), atol=0.02, rtol=0)

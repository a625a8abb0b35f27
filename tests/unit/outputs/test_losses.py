"""The tiled softmax loss against torch's cross entropy of all logits."""

import itertools

import pytest
import torch

from merlin_models_torch import _products
from merlin_models_torch.outputs import losses, tiled
from merlin_models_torch.outputs.losses import softmax_cross_entropy, softmax_cross_entropy_plain
from merlin_models_torch.outputs.tiles import Sizes, Tiles

N, V, D = 23, 57, 5


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(N, D, generator=generator)
    weight = torch.randn(V, D, generator=generator)
    bias = torch.randn(V, generator=generator)
    targets = torch.randint(0, V, (N,), generator=generator)
    # Repeated targets and both ends of the catalogue.
    targets[:4] = torch.tensor([0, V - 1, 5, 5])
    return hidden, weight, bias, targets


def run(function, case, *, with_bias, upstream=None, **options):
    hidden, weight, bias, targets = case
    leaves = [t.clone().requires_grad_() for t in ((hidden, weight, bias) if with_bias else (hidden, weight))]
    loss = function(leaves[0], leaves[1], targets, bias=leaves[2] if with_bias else None, **options)
    if upstream is None:
        loss.sum().backward()
    else:
        loss.backward(upstream)
    return loss.detach(), [leaf.grad for leaf in leaves]


TILINGS = [
    {},
    {"chunk": 1},
    {"chunk": 8},
    {"chunk": 1000},
    {"over": "items"},
    {"over": "items", "chunk": 1},
    {"over": "items", "chunk": 10},
    {"over": "targets"},
]


@pytest.mark.parametrize("tiling", TILINGS, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("with_bias", "temperature", "smoothing"),
    [(False, 1.0, 0.0), (True, 0.3, 0.0), (True, 2.0, 0.2), (False, 1.0, 1.0)],
)
def test_equals_the_plain_formula(case, tiling, reduction, with_bias, temperature, smoothing):
    options = {"temperature": temperature, "label_smoothing": smoothing, "reduction": reduction}
    generator = torch.Generator().manual_seed(3)
    upstream = torch.randn(N if reduction == "none" else (), generator=generator)
    expected, expected_grads = run(
        softmax_cross_entropy_plain, case, with_bias=with_bias, upstream=upstream, **options
    )
    loss, grads = run(
        softmax_cross_entropy, case, with_bias=with_bias, upstream=upstream, **options, **tiling
    )
    torch.testing.assert_close(loss, expected)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-4, atol=1e-5)


def test_plain_formula_is_that_of_torch(case):
    hidden, weight, _, targets = case
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T / 0.7, targets, label_smoothing=0.1)
    plain = softmax_cross_entropy_plain(hidden, weight, targets, temperature=0.7, label_smoothing=0.1)
    torch.testing.assert_close(plain, expected)


def test_value_by_hand():
    hidden = torch.tensor([[1.0], [2.0]])
    weight = torch.tensor([[0.0], [1.0]])
    loss = softmax_cross_entropy(hidden, weight, torch.tensor([0, 1]), reduction="none")
    torch.testing.assert_close(loss, torch.log1p(torch.exp(torch.tensor([1.0, -2.0]))))


PROCESSORS = ["AMD, wide", "AMD, narrow", "another"]


def runs_on(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets exponentials be made as on a processor of this kind."""
    monkeypatch.setattr(tiled, "is_wide_amd", lambda: processor == "AMD, wide")
    monkeypatch.setattr(tiled, "is_narrow_amd", lambda: processor == "AMD, narrow")


def test_powers_of_two_are_taken_where_they_are_faster(case, monkeypatch):
    taken = []
    exp2 = torch.Tensor.exp2_
    monkeypatch.setattr(torch.Tensor, "exp2_", lambda self: taken.append(self.dtype) or exp2(self))
    hidden, weight, bias, targets = case
    for processor, times in (("another", 0), ("AMD, narrow", 1)):
        runs_on(processor, monkeypatch)
        softmax_cross_entropy(hidden, weight, targets, bias=bias)
        softmax_cross_entropy(hidden.double(), weight.double(), targets, bias=bias.double())
        assert taken == [torch.float32] * times


@pytest.mark.parametrize("catalogue", [0, 10_000])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_many_tiles_of_large_inputs_are_cut_right(case, catalogue, processor, monkeypatch):
    """The sizes that choose the tiles, made small: several tiles of targets and of items at once."""
    small = Sizes(again=60, again_targets=16, kept=60, tile=60, targets=7, items=9, catalogue=catalogue)
    monkeypatch.setattr(losses, "sizes_for", lambda device: small)
    runs_on(processor, monkeypatch)
    monkeypatch.setattr(losses, "multiplies", lambda *_: True)
    expected = run(softmax_cross_entropy_plain, case, with_bias=True, label_smoothing=0.1)
    found = run(softmax_cross_entropy, case, with_bias=True, label_smoothing=0.1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    narrow = run(
        softmax_cross_entropy, case, with_bias=True, label_smoothing=0.1, compute_dtype=torch.bfloat16
    )
    for grad, expected_grad in zip(narrow[1], expected[1], strict=True):
        assert (grad - expected_grad).norm() < 0.02 * expected_grad.norm()
    expected = run(softmax_cross_entropy_plain, case, with_bias=False)
    narrow = run(softmax_cross_entropy, case, with_bias=False, compute_dtype=torch.bfloat16)
    torch.testing.assert_close(narrow[0], expected[0], rtol=0.01, atol=0)
    for grad, expected_grad in zip(narrow[1], expected[1], strict=True):
        assert (grad - expected_grad).norm() < 0.02 * expected_grad.norm()


@pytest.mark.parametrize("one_dnn", [False, True])
@pytest.mark.parametrize("tiles", [(70, 300, True), (40, 700, True), (70, 300, False)])
def test_tiles_large_enough_for_either_library_of_products(tiles, one_dnn, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(rows, 64, generator=generator) for rows in (70, 700))
    case = (hidden, weight / 8, torch.zeros(700), torch.arange(70) % 50)
    expected = run(softmax_cross_entropy_plain, case, with_bias=True, label_smoothing=0.1)
    monkeypatch.setattr(_products, "_LINEAR", _products._one_dnn() if one_dnn else None)
    monkeypatch.setattr(Tiles, "choose", lambda *_: Tiles(*tiles))
    found = run(softmax_cross_entropy, case, with_bias=True, label_smoothing=0.1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tiles", [(5, 57, True), (5, 10, True), (4, 10, False)])
def test_gradients_in_double_precision(case, tiles, monkeypatch):
    monkeypatch.setattr(Tiles, "choose", lambda *_: Tiles(*tiles))
    hidden, weight, bias, targets = case
    leaves = [t.double().requires_grad_() for t in (hidden[:6], weight, bias)]
    for reduction in ("mean", "none"):
        assert torch.autograd.gradcheck(
            lambda h, w, b, how=reduction: softmax_cross_entropy(
                h, w, targets[:6], bias=b, temperature=0.8, label_smoothing=0.1, reduction=how
            ),
            leaves,
            # The first backward pass hands out what the forward pass made, the second makes it again.
            nondet_tol=1e-12,
        )


@pytest.mark.parametrize("over", ["targets", "items"])
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("bias", [0.0, 200.0, -700.0], ids=["some large", "all large", "all small"])
def test_large_scores_stay_finite_and_right(over, processor, bias, monkeypatch):
    """Scores of several hundred either way: exp of them overflows float32 or is lost, in some rows or all."""
    runs_on(processor, monkeypatch)
    hidden = torch.tensor([[300.0, 0.0], [0.0, -500.0], [0.5, 0.25]])
    weight = torch.tensor([[1.0, 0.0], [2.0, 1.0], [-1.0, -1.0]])
    case = (hidden, weight, torch.tensor([0.0, 100.0, -100.0]) + bias, torch.tensor([0, 1, 2]))
    expected = run(softmax_cross_entropy_plain, case, with_bias=True)
    found = run(softmax_cross_entropy, case, with_bias=True, over=over, chunk=1)
    assert expected[0].isfinite()
    torch.testing.assert_close(found, expected)


def test_only_the_needed_gradients_are_made(case):
    hidden, weight, bias, targets = case
    expected = run(softmax_cross_entropy_plain, case, with_bias=True)[1]
    for needed in itertools.product((False, True), repeat=3):
        if any(needed):
            leaves = [
                t.clone().requires_grad_(n) for t, n in zip((hidden, weight, bias), needed, strict=True)
            ]
            softmax_cross_entropy(leaves[0], leaves[1], targets, bias=leaves[2]).backward()
            for leaf, grad, need in zip(leaves, expected, needed, strict=True):
                if need:
                    torch.testing.assert_close(leaf.grad, grad, rtol=1e-4, atol=1e-5)
                else:
                    assert leaf.grad is None


def test_gradient_flows_through_the_body_and_tied_tables(case):
    """The same table below and above, as with weight tying."""
    _, weight, _, targets = case
    grads = []
    for function in (softmax_cross_entropy_plain, softmax_cross_entropy):
        table = weight.clone().requires_grad_()
        function(torch.tanh(table[targets.flip(0)]), table, targets).backward()
        grads.append(table.grad)
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("over", ["targets", "items"])
def test_backward_twice_over_one_graph_adds_up(case, over):
    hidden, weight, _, targets = case
    leaf = weight.clone().requires_grad_()
    loss = softmax_cross_entropy(hidden, leaf, targets, over=over)
    loss.backward(retain_graph=True)
    once = leaf.grad.clone()
    (2 * loss).backward()
    torch.testing.assert_close(leaf.grad, 3 * once)


def test_second_derivatives_are_refused_in_words(case):
    hidden, weight, _, targets = case
    leaf = weight.clone().requires_grad_()
    loss = softmax_cross_entropy(hidden, leaf, targets)
    with pytest.raises(RuntimeError, match="has no second derivatives: leave out create_graph=True"):
        torch.autograd.grad(loss, leaf, create_graph=True)


def test_without_gradients_only_the_loss_is_computed(case, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(tiled, "gradients", fail)
    hidden, weight, _, targets = case
    expected = softmax_cross_entropy_plain(hidden, weight, targets)
    torch.testing.assert_close(softmax_cross_entropy(hidden, weight, targets), expected)
    with torch.no_grad():
        torch.testing.assert_close(
            softmax_cross_entropy(hidden, weight.clone().requires_grad_(), targets), expected
        )


@pytest.mark.parametrize("over", ["targets", "items"])
def test_no_targets_give_zero_and_zero_gradients(over):
    hidden, weight = torch.zeros(0, D, requires_grad=True), torch.ones(V, D, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    loss = softmax_cross_entropy(hidden, weight, none, over=over)
    loss.backward()
    assert loss.item() == 0 == softmax_cross_entropy_plain(hidden, weight, none).item()
    assert torch.equal(weight.grad, torch.zeros(V, D))
    assert hidden.grad.shape == (0, D)
    assert softmax_cross_entropy(hidden, weight, none, reduction="none").shape == (0,)


@pytest.mark.parametrize("over", ["targets", "items"])
def test_autocast_rounds_products_only(case, over):
    """Under bfloat16 autocast: close to float32, float32 out, gradients in the dtype of the parameters."""
    hidden, weight, _, targets = case
    expected, expected_grads = run(softmax_cross_entropy_plain, case, with_bias=False)
    leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = softmax_cross_entropy(*leaves, targets, over=over)
    loss.backward()
    assert loss.dtype == torch.float32
    assert not torch.equal(loss, expected)
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-2, atol=1e-2)
    for leaf, grad in zip(leaves, expected_grads, strict=True):
        assert leaf.grad.dtype == torch.float32
        assert (leaf.grad - grad).norm() < 0.02 * grad.norm()
    named = softmax_cross_entropy(hidden, weight, targets, over=over, compute_dtype=torch.bfloat16)
    torch.testing.assert_close(named, loss.detach())


def test_mixed_and_narrow_inputs(case):
    """A bfloat16 body above a float32 table: computed in float32, gradients in the dtype of each."""
    hidden, weight, _, targets = case
    narrow, wide = hidden.bfloat16().requires_grad_(), weight.clone().requires_grad_()
    loss = softmax_cross_entropy(narrow, wide, targets)
    torch.testing.assert_close(loss, softmax_cross_entropy_plain(narrow.float(), wide, targets))
    loss.backward()
    assert (narrow.grad.dtype, wide.grad.dtype) == (torch.bfloat16, torch.float32)


def test_a_sure_answer_has_no_negative_loss_in_bfloat16():
    hidden, weight = torch.full((4, 3), 7.77), torch.tensor([[3.3, 3.3, 3.3], [-1.0, -1.0, -1.0]])
    loss = softmax_cross_entropy(
        hidden, weight, torch.zeros(4, dtype=torch.int64), reduction="none", compute_dtype=torch.bfloat16
    )
    assert torch.equal(loss, torch.zeros(4))


def test_inputs_are_not_changed(case):
    before = [t.clone() for t in case]
    run(softmax_cross_entropy, case, with_bias=True, temperature=0.5, label_smoothing=0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, case, strict=True))


@pytest.mark.parametrize(
    ("wrong", "text"), [(V, f"target id {V} is outside"), (-1, "target id -1 is outside")]
)
def test_a_target_outside_the_catalogue_is_named(case, wrong, text):
    hidden, weight, _, targets = case
    targets = targets.clone()
    targets[3] = wrong
    with pytest.raises(ValueError, match=f"{text} the catalogue of {V} items"):
        softmax_cross_entropy(hidden, weight, targets)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hidden": torch.zeros(N, D + 1)}, r"must be \(N, D\) and \(V, D\)"),
        ({"weight": torch.zeros(0, D)}, "weight has no rows"),
        ({"targets": torch.zeros(N + 1, dtype=torch.int64)}, f"hidden has {N} rows"),
        ({"bias": torch.zeros(V + 1)}, f"the catalogue has {V} items"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5"),
        ({"reduction": "avg"}, "reduction is 'avg'"),
        ({"chunk": 0}, "chunk is 0"),
    ],
)
def test_wrong_arguments_are_named(case, change, text):
    hidden, weight, _, targets = case
    arguments = {"hidden": hidden, "weight": weight, "targets": targets, **change}
    with pytest.raises(ValueError, match=text):
        losses.softmax_cross_entropy(**arguments)


def test_float_targets_are_refused(case):
    hidden, weight, _, targets = case
    with pytest.raises(TypeError, match="must be integer item ids"):
        softmax_cross_entropy(hidden, weight, targets.float())

"""Products of matrices against torch's."""

import pytest
import torch

from merlin_models_torch import _products
from merlin_models_torch._products import product, put_product, takes_one_dnn

SIZES = [(3, 4, 5), (70, 64, 1_000), (0, 64, 1_000), (40_000, 64, 1)]


@pytest.fixture(params=["oneDNN", "torch"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either library of products, whichever is faster on this processor."""
    linear = _products._one_dnn() if request.param == "oneDNN" else None
    if request.param == "oneDNN" and linear is None:
        pytest.skip("torch has no oneDNN for this processor")
    monkeypatch.setattr(_products, "_LINEAR", linear)
    return str(request.param)


def matrices(n: int, k: int, m: int, *, transposed: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(n, k, generator=generator), torch.randn(k, m, generator=generator)
    if transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    return left, right


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_is_that_of_torch(sizes: tuple[int, int, int], transposed: bool) -> None:
    left, right = matrices(*sizes, transposed=transposed)
    torch.testing.assert_close(product(left, right), torch.mm(left, right), rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_is_written_or_added(sizes: tuple[int, int, int], transposed: bool) -> None:
    left, right = matrices(*sizes, transposed=transposed)
    expected = torch.mm(left, right)
    into = torch.full_like(expected, torch.nan)
    put_product(into, left, right, add=False)
    torch.testing.assert_close(into, expected, rtol=1e-5, atol=1e-4)
    put_product(into, left, right, add=True)
    torch.testing.assert_close(into, 2 * expected, rtol=1e-5, atol=2e-4)


@pytest.mark.usefixtures("library")
def test_slices_of_larger_matrices_are_multiplied() -> None:
    left, right = matrices(80, 96, 3_000, transposed=False)
    left, right = left[5:75, 8:72], right[8:72, 100:2_100]
    torch.testing.assert_close(product(left, right), torch.mm(left, right), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("library", ["oneDNN"], indirect=True)
def test_large_float32_matrices_go_to_one_dnn_unless_it_is_turned_off(library, monkeypatch) -> None:
    large, small = matrices(70, 64, 1_000, transposed=False), matrices(3, 4, 5, transposed=False)
    assert takes_one_dnn(*large)
    assert not takes_one_dnn(*small)
    assert not takes_one_dnn(*(matrix.double() for matrix in large))
    assert not takes_one_dnn(*(matrix.to("meta") for matrix in large))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not takes_one_dnn(*large)

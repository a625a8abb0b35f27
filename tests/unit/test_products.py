"""Products of matrices against torch's."""

import pytest
import torch

from merlin_models_torch import _processor, _products
from merlin_models_torch._products import product, put_product, put_scores, takes_one_dnn

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


@pytest.mark.parametrize("intel", [False, True])
@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["whole", "columns", "requires grad"])
def test_scores_are_those_of_torch(intel, queries, dtype, kind, monkeypatch) -> None:
    monkeypatch.setattr(_products, "is_intel", lambda: intel)
    asked, items = (matrix.to(dtype) for matrix in matrices(queries, 64, 1_000, transposed=False))
    items = items.t() if kind == "columns" else items.t().contiguous()
    expected = asked @ items.T
    if kind == "requires grad":
        items = torch.nn.Parameter(items)
    into = torch.full_like(expected, torch.nan)
    with torch.no_grad():
        put_scores(into, asked, items)
    torch.testing.assert_close(into, expected, rtol=1e-5, atol=1e-4)


def test_kinds_of_processors(monkeypatch) -> None:
    kinds = (_processor.is_intel, _processor.is_wide_amd, _processor.is_narrow_amd)

    def on(name: str, architecture: str = "x86_64", **capabilities: object) -> list[bool]:
        found = {"cpu_name": name, "architecture": architecture, **capabilities}
        monkeypatch.setattr(_processor, "_capabilities", lambda: found)
        for kind in kinds:
            kind.cache_clear()
        return [kind() for kind in kinds]

    assert on("Intel(R) Xeon(R)", avx512_f=True) == [True, False, False]
    assert on("AMD EPYC", avx512_f=True) == [False, True, False]
    assert on("AMD EPYC", avx512_f=False) == [False, False, True]
    assert on("Neoverse", "aarch64") == [False, False, False]
    for kind in kinds:
        kind.cache_clear()


def test_what_is_narrow_is_multiplied_by_processors_that_can(monkeypatch) -> None:
    def on(**capabilities: object) -> list[bool]:
        _processor.multiplies.cache_clear()
        monkeypatch.setattr(_processor, "_capabilities", lambda: {"architecture": "x86_64", **capabilities})
        dtypes = (torch.float32, torch.bfloat16, torch.float16)
        return [_processor.multiplies(dtype, "cpu") for dtype in dtypes]

    assert on(avx512_bf16=True) == [True, True, False]
    assert on(amx_bf16=True, amx_fp16=True) == [True, True, True]
    assert on(avx2=True, avx512_f=True, amx_bf16=False) == [True, False, False]
    assert _processor.multiplies(torch.bfloat16, "cuda")
    assert on(architecture="aarch64") == [True, True, True]
    _processor.multiplies.cache_clear()

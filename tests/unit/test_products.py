"""Products of matrices against torch's."""

import pytest
import torch

from merlin_models_torch import _processor, _products
from merlin_models_torch._products import in_lines, product, put_product, put_scores, takes_one_dnn

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


@pytest.mark.parametrize("columns", [1_001, 2_047, 4_009])
def test_rows_of_a_product_begin_with_a_cache_line_where_that_pays(columns: int, monkeypatch) -> None:
    left, right = matrices(70, 64, columns, transposed=False)
    monkeypatch.setattr(_products, "_LINEAR", None)
    for pays in (True, False):
        monkeypatch.setattr(_products, "is_narrow_amd", lambda pays=pays: pays)
        with torch.no_grad():
            found = product(left, right)
        lines, rest = divmod(found.stride(0), 16)
        assert (rest == 0 and lines % 2 == 1) if pays else found.is_contiguous()
        torch.testing.assert_close(found, torch.mm(left, right), rtol=1e-5, atol=1e-4)


def test_rows_follow_one_another_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "is_narrow_amd", lambda: True)
    large = torch.empty(0)
    assert not in_lines(large, 70, 1_001).is_contiguous()
    for matrix in (
        in_lines(large, 70, 1_008),
        in_lines(large, 1, 100_001),
        in_lines(large, 3, 1_001),
        in_lines(large.double(), 70, 1_001),
        in_lines(large.to("meta"), 70, 1_001),
    ):
        assert matrix.is_contiguous()


def test_a_product_with_gradients_or_under_a_transform_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "is_narrow_amd", lambda: True)
    monkeypatch.setattr(_products, "_LINEAR", None)
    left, right = matrices(70, 64, 1_001, transposed=False)
    product(left.requires_grad_(), right).sum().backward()
    torch.testing.assert_close(left.grad, right.sum(1).expand(70, 64), rtol=1e-5, atol=1e-4)
    with torch.no_grad():
        several = torch.vmap(product, in_dims=(None, 0))(left, right.expand(2, 64, 1_001))
    torch.testing.assert_close(several[1], torch.mm(left, right).detach(), rtol=1e-5, atol=1e-4)


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

"""Large tensors lie in large pages where the kernel gives them to those who ask."""

from pathlib import Path

import pytest
import torch

from merlin_models_torch import _pages
from merlin_models_torch._pages import LARGE, LargePages, use_large_pages

NEEDS_PAGES = pytest.mark.skipif(
    _pages._madvise() is None, reason="the kernel gives large pages to all, to none, or knows of none"
)


def advised(tensor):
    """Whether the kernel has been asked for large pages where a tensor begins: "hg" among the flags."""
    address, inside = tensor.data_ptr() + 2**21, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            first, last = (int(bound, 16) for bound in head.split("-"))
            inside = first <= address < last
        elif inside and head == "VmFlags:":
            return "hg" in line.split()
    raise AssertionError("the tensor's memory is not listed")


@NEEDS_PAGES
@pytest.mark.parametrize("written", [False, True])
def test_a_large_tensor_is_asked_for_and_keeps_its_numbers(written):
    tensor = torch.empty(4 * LARGE, dtype=torch.uint8)
    if written:
        tensor.fill_(7)
    use_large_pages(tensor, written=written)
    assert advised(tensor)
    if written:
        assert bool((tensor == 7).all())


@NEEDS_PAGES
def test_the_first_step_of_an_optimizer_moves_parameters_and_moments():
    table = torch.nn.Parameter(torch.randn(LARGE // 2, 2))
    small = torch.nn.Parameter(torch.randn(4))
    optimizer = torch.optim.Adam([table, small], lr=0.1)
    optimizer.register_step_post_hook(LargePages())
    plain = [parameter.detach().clone().requires_grad_() for parameter in (table, small)]
    other = torch.optim.Adam(plain, lr=0.1)
    for _ in range(2):
        for parameter in (table, small, *plain):
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        other.step()
    moments = optimizer.state[table]
    assert all(advised(tensor) for tensor in (table, moments["exp_avg"], moments["exp_avg_sq"]))
    assert torch.equal(table, plain[0])
    assert torch.equal(small, plain[1])


def test_what_has_no_memory_of_its_own_is_left_alone():
    for tensor in (torch.empty(LARGE, device="meta"), torch.empty(0), torch.ones(3)):
        use_large_pages(tensor, written=True)


@pytest.mark.parametrize("setting", ["always madvise [never]", "[always] madvise never"])
def test_a_kernel_that_gives_them_to_all_or_none_is_not_asked(setting, tmp_path, monkeypatch):
    file = tmp_path / "enabled"
    file.write_text(setting)
    monkeypatch.setattr(_pages, "_SETTING", file)
    assert _pages._madvise.__wrapped__() is None
    monkeypatch.setattr(_pages, "_SETTING", tmp_path / "none")
    assert _pages._madvise.__wrapped__() is None

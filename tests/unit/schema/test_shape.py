"""Shapes of columns."""

import pytest

from merlin_models_torch.schema import Dimension, Shape


def test_what_entries_mean() -> None:
    assert Shape((None, (2, 5), 3)).dims == (Dimension(), Dimension(2, 5), Dimension(3, 3))
    assert Shape((None, (2, 5), 3)).as_tuple == ((0, None), (2, 5), 3)


@pytest.mark.parametrize(
    ("dims", "is_list", "is_ragged"),
    [
        (None, False, False),
        ((None,), False, False),
        ((None, None), True, True),
        ((None, 4), True, False),
        ((7, (1, 2)), True, True),
        ((None, 4, (1, 2)), True, True),
    ],
)
def test_lists_and_ragged_ones(dims: tuple[object, ...] | None, is_list: bool, is_ragged: bool) -> None:
    shape = Shape(dims)  # type: ignore[arg-type]
    assert (shape.is_list, shape.is_ragged) == (is_list, is_ragged)


def test_an_unknown_shape_equals_every_other() -> None:
    assert Shape() == Shape((None, 3))
    assert hash(Shape()) == hash(Shape((None, 3)))
    assert Shape((None, 3)) != Shape((None, 4))
    assert Shape() != 1


def test_shapes_are_taken_over_and_walked() -> None:
    shape = Shape(Shape((None, 3)))
    assert list(shape) == [Dimension(), Dimension(3, 3)]
    assert shape[1].is_fixed
    assert shape[0].is_unknown
    assert Dimension(0, 2).is_variable
    assert Dimension(0, 2).is_bounded
    assert Shape().is_unknown
    assert repr(shape) == "Shape(((0, None), 3))"


@pytest.mark.parametrize("low", [-1, 1.5, None, True])
def test_smallest_sizes_are_whole_numbers(low: object) -> None:
    with pytest.raises(
        ValueError, match="the smallest size of a dimension is a whole number of 0 or more, not"
    ):
        Dimension(low)  # type: ignore[arg-type]


def test_the_largest_size_is_not_below_the_smallest() -> None:
    with pytest.raises(ValueError, match=r"None or a whole number of 4 .* or more, not 2"):
        Shape((None, (4, 2)))


def test_what_is_no_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not 'a': write \(None, \(2, 20\)\) for lists of 2 to 20"):
        Shape((None, "a"))  # type: ignore[arg-type]


def test_bounds_of_a_whole_shape_and_shapes_with_another_dimension() -> None:
    lists = Shape(((8, 8), (2, 20)))
    assert (lists.min, lists.max) == ((8, 2), (8, 20))
    assert (lists.is_fixed, lists.is_variable, lists.is_bounded) == (False, True, True)
    assert lists.with_dim(1, 4).is_fixed
    assert lists.with_dim_min(1, 5)[1] == Dimension(5, 20)
    assert lists.with_dim_max(1, None)[1] == Dimension(2, None)
    assert not lists.with_dim_max(1, None).is_bounded
    unknown = Shape()
    assert (unknown.min, unknown.max, unknown.is_fixed, unknown.is_bounded) == ((), (), False, False)
    with pytest.raises(IndexError):
        unknown.with_dim(0, 1)

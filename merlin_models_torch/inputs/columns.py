"""Modules by column name, and how the lists of columns are combined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from merlin_models_torch.inputs.combiner import Combiner, ListCombiner, pool
from merlin_models_torch.inputs.weighted import weights_of
from merlin_models_torch.schema import ColumnSchema, Schema


class Shared(nn.Module):
    """Modules by column name, where one may serve several columns and is still held once.

    Args:
        modules: by name of the column.
        schema: that has the columns; anything goes without it.
        argument: name of the argument, for errors.
        also: further names that are good.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module] | None,
        schema: Schema | None = None,
        argument: str = "",
        *,
        also: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._keys: dict[str, str] = {}
        held: dict[int, str] = {}
        for name, module in (modules or {}).items():
            if schema is not None and name not in schema.column_names and name not in also:
                raise ValueError(
                    f"{argument} names {name!r}, but the columns in use are {schema.column_names}: check the "
                    "name"
                )
            if not isinstance(module, nn.Module):
                raise TypeError(f"{argument} of {name!r} is a {type(module).__name__}, expected a module")
            if id(module) not in held:
                held[id(module)] = name
                self.add_module(name, module)
            self._keys[name] = held[id(module)]

    @classmethod
    def of_combiners(cls, combiners: Mapping[str, Combiner], widths: Mapping[str, int]) -> Shared:
        """Combiners of columns whose vectors have these widths."""
        made: dict[int, ListCombiner] = {}
        found: dict[str, nn.Module] = {}
        for name, how in combiners.items():
            one = ListCombiner.of(how, dim=widths[name])
            found[name] = made.setdefault(id(how), one) if isinstance(how, nn.Module) else one
        return cls(found)

    def pools(self, name: str) -> bool:
        """Whether the module of a column makes one vector of a list by itself."""
        return name in self and bool(getattr(self[name], "pools", False))

    def distinct(self) -> list[nn.Module]:
        """The modules, each once."""
        return list(self.children())

    def find(self, name: str) -> nn.Module | None:
        """The module of a column, None if it has none."""
        key = self._keys.get(name)
        return None if key is None else self.get_submodule(key)

    def __getitem__(self, name: str) -> nn.Module:
        return self.get_submodule(self._keys[name])

    def __contains__(self, name: object) -> bool:
        return name in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)


def column_combiners(
    combiner: Combiner | Mapping[str, Combiner] | None, lists: Collection[str]
) -> dict[str, Combiner]:
    """The combiner of each list column that has one.

    Raises:
        ValueError: if one is given for a column that is no list.
    """
    if combiner is None:
        return {}
    if not isinstance(combiner, Mapping):
        # Weights for all lists are no list to combine.
        return {name: combiner for name in lists if name != weights_of(combiner)}
    for name in combiner:
        if name not in lists:
            raise ValueError(
                f"combiner names {name!r}, but the list columns are {sorted(lists)}: check the name"
            )
    return dict(combiner)


def is_nested(column: ColumnSchema) -> bool:
    """Whether the column holds lists inside lists."""
    return len(column.dims or ()) > 2


def pooled(
    vectors: Tensor, inside: Tensor, combiner: nn.Module | None, weights: Tensor | None = None
) -> Tensor:
    """The innermost lists as one vector each: by the combiner, or their mean.

    Args:
        vectors: (..., S, D).
        inside: (..., S) bool.
        combiner: a :class:`ListCombiner`.
        weights: (..., S) float, for a combiner that takes some.

    Returns:
        (..., D).
    """
    if combiner is None:
        return pool(vectors, inside, "mean")
    result: Tensor = combiner(vectors, inside, weights)
    return result

"""Columns whose parts are given by their places, as betterproto's messages took them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

_AFTER_NAME = (
    "deprecated",
    "presence",
    "group_presence",
    "shape",
    "value_count",
    "value_counts",
    "type",
    "domain",
    "int_domain",
    "float_domain",
    "string_domain",
    "bool_domain",
    "struct_domain",
    "natural_language_domain",
    "image_domain",
    "mid_domain",
    "url_domain",
    "time_domain",
    "time_of_day_domain",
    "distribution_constraints",
    "annotation",
    "skew_comparator",
    "drift_comparator",
    "in_environment",
    "not_in_environment",
    "lifecycle_stage",
    "unique_constraints",
)


def in_order(constructor: Callable[..., None]) -> Callable[..., None]:
    """A constructor of keywords that takes the fields after the name by their places too.

    Raises:
        TypeError: when called with more of them than a feature has, or with one of them twice.
    """

    @wraps(constructor)
    def construct(self: Any, name: str = "", *fields: Any, **kwargs: Any) -> None:
        if len(fields) > len(_AFTER_NAME):
            raise TypeError(
                f"a column has {len(_AFTER_NAME)} fields after its name, got {len(fields)}: name them"
            )
        constructor(self, name, **dict(zip(_AFTER_NAME, fields, strict=False)), **kwargs)

    return construct

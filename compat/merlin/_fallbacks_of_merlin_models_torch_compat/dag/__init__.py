"""``merlin.dag`` where merlin-core is not installed: operators of loaders, but no graphs of them."""

from merlin.core._absent import only
from merlin.dag.operator import Operator
from merlin.dag.selector import ColumnSelector
from merlin.dag.utils import group_values_offsets, ungroup_values_offsets

BaseOperator = Operator

__getattr__ = only(__name__)
__all__ = ["BaseOperator", "ColumnSelector", "Operator", "group_values_offsets", "ungroup_values_offsets"]

"""The rules, in the order in which they run."""

from __future__ import annotations

from merlin_migrate.codemod.rule import Rule
from merlin_migrate.codemod.rules.mm101_schema import SchemaRule
from merlin_migrate.codemod.rules.mm102_inputs import InputsRule
from merlin_migrate.codemod.rules.mm103_body import BodyRule
from merlin_migrate.codemod.rules.mm104_output import OutputRule
from merlin_migrate.codemod.rules.mm105_model import ModelRule
from merlin_migrate.codemod.rules.mm106_training import TrainingRule
from merlin_migrate.codemod.rules.mm107_metric_keys import MetricKeysRule
from merlin_migrate.codemod.rules.mm108_rest import RestRule
from merlin_migrate.codemod.rules.mm109_imports import ImportsRule
from merlin_migrate.codemod.rules.mm110_loaders import LoadersRule
from merlin_migrate.codemod.rules.mm111_loops import LoopsRule
from merlin_migrate.codemod.rules.mm112_inputs_by_hand import InputsByHandRule
from merlin_migrate.codemod.rules.mm113_own_maskings import OwnMaskingsRule
from merlin_migrate.codemod.rules.mm114_own_trainers import OwnTrainersRule
from merlin_migrate.codemod.rules.mm115_parsed_arguments import ParsedArgumentsRule
from merlin_migrate.codemod.rules.mm201_merlin_torch import MerlinTorchRule
from merlin_migrate.codemod.rules.mm202_lightning import LightningRule
from merlin_migrate.codemod.rules.mm203_merlin_tf import MerlinTensorFlowRule
from merlin_migrate.codemod.rules.mm204_merlin_v1 import MerlinV1Rule

RULES: tuple[type[Rule], ...] = (
    MerlinV1Rule,
    MerlinTorchRule,
    LightningRule,
    MerlinTensorFlowRule,
    SchemaRule,
    OwnMaskingsRule,
    InputsByHandRule,
    InputsRule,
    BodyRule,
    OutputRule,
    ModelRule,
    ParsedArgumentsRule,
    OwnTrainersRule,
    TrainingRule,
    LoadersRule,
    LoopsRule,
    MetricKeysRule,
    RestRule,
    ImportsRule,
)

__all__ = ["RULES"]

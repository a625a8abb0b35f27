"""Several targets: a tower for each over experts that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import nn

from merlin_models_torch.blocks.experts import MMOEBlock
from merlin_models_torch.blocks.mlp import MLPBlock
from merlin_models_torch.blocks.ple import PLEBlock
from merlin_models_torch.blocks.repeat import repeat_parallel_like
from merlin_models_torch.blocks.router import RouterBlock
from merlin_models_torch.data import SessionFiles, Vocabulary
from merlin_models_torch.inputs import TabularInputBlock
from merlin_models_torch.inputs.tables import EmbeddingDim
from merlin_models_torch.models.parts import Combiners, RankingOutput, columns_of, combiners_of
from merlin_models_torch.outputs import TabularOutputBlock
from merlin_models_torch.schema import Schema
from merlin_models_torch.training.model import Model
from merlin_models_torch.training.optim import OptimizerChoice, OptimizerConfig


def MultiTaskModel(
    data: Schema | SessionFiles,
    *,
    experts: Literal["mmoe", "ple", "none"] = "mmoe",
    embedding_dim: EmbeddingDim = 64,
    expert: Sequence[int] = (64,),
    num_experts: int = 4,
    num_task_experts: int = 1,
    depth: int = 1,
    towers: Sequence[int] = (64,),
    dropout: float = 0.0,
    combiner: Combiners = "mean",
    output: RankingOutput | None = None,
    optimizer: OptimizerConfig | OptimizerChoice | None = None,
    vocabularies: Mapping[str, Vocabulary] | None = None,
    seed: int = 0,
) -> Model:
    """A model of several targets, each with a tower of its own over shared experts.

    Args:
        data: schema with the features, and the targets tagged by their kind; or what
            ``sessions_from_events`` returned.
        experts: "mmoe", experts that all tasks share, with a gate for each (Ma et al. 2018); "ple", experts
            of each task beside shared ones, in layers (Tang et al. 2020); "none", one MLP below all towers
            (Caruana 1997).
        embedding_dim: of :class:`TabularInputBlock`.
        expert: units of each expert, or of the one MLP.
        num_experts: experts that all tasks share, in each layer; not used for "none".
        num_task_experts: further experts of each task in each layer, of "ple" only.
        depth: layers, of "ple" only.
        towers: units of each target's tower.
        dropout: of experts and towers.
        combiner: how lists become one vector: all of them, or by name, the others by their mean.
        output: by default :class:`TabularOutputBlock` of the schema's targets; give one for loss weights.
        optimizer: of :class:`Model`.
        vocabularies: of :class:`Model`.
        seed: of :class:`Model`.

    Returns:
        A model that gives a score for each target.

    Raises:
        ValueError: if there is no target, or the kind of experts is unknown.

    Example:
        >>> targets = click_schema["price"].with_tags([mm.Tags.REGRESSION])
        >>> two = click_schema.excluding(["price"]) + mm.Schema([targets])
        >>> model = MultiTaskModel(two, experts="ple", num_experts=2, embedding_dim=8, towers=[8])
        >>> model.predict(clicks).column_names
        ['user_id', 'click_score', 'price_score']
    """
    columns = columns_of(data, output, vocabularies)
    head = columns.output
    if not isinstance(head, TabularOutputBlock):
        head = TabularOutputBlock([head])
    tasks = list(head.outputs)
    shared: nn.Module = MLPBlock(expert, dropout=dropout)
    own = MLPBlock(towers, dropout=dropout)
    if experts == "none":
        body: list[nn.Module] = [shared, repeat_parallel_like(own, tasks)]
    elif experts == "mmoe":
        body = [MMOEBlock(shared, num_experts=num_experts, outputs=tasks), _towers(own, tasks)]
    elif experts == "ple":
        mixture = PLEBlock(
            shared,
            num_shared_experts=num_experts,
            num_task_experts=num_task_experts,
            depth=depth,
            outputs=tasks,
        )
        body = [mixture, _towers(own, tasks)]
    else:
        raise ValueError(f"experts is {experts!r}, expected 'mmoe', 'ple' or 'none'")
    return Model(
        TabularInputBlock(
            columns.features, embedding_dim=embedding_dim, combiner=combiners_of(columns.features, combiner)
        ),
        *body,
        head,
        optimizer=optimizer,
        vocabularies=columns.vocabularies,
        seed=seed,
    )


def _towers(own: MLPBlock, tasks: list[str]) -> RouterBlock:
    """A tower for each task, on what the experts give for it."""
    return RouterBlock(Schema(tasks)).add_route_for_each("*", own)

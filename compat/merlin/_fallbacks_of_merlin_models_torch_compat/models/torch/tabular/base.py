"""``merlin.models.torch.tabular.base`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.tabular.base": """
            AsTabular FilterFeatures MergeTabular SequentialTabularTransformations
            TabularAggregation TabularBlock TabularModule TabularTransformation
            merge_tabular tabular_aggregation_registry tabular_transformation_registry
        """,
    },
)

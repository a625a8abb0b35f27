"""``merlin.models.torch.model.prediction_task`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.model.prediction_task": """
            BinaryClassificationPrepareBlock BinaryClassificationTask RegressionPrepareBlock
            RegressionTask
        """,
    },
)

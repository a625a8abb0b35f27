"""``merlin.models.torch.utils.examples_utils`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.utils.examples_utils": """
            fit_and_evaluate list_files visualize_response
        """,
    },
)

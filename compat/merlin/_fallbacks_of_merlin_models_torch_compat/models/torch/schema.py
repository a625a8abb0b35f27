"""``merlin.models.torch.schema`` of V2."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {"merlin_models_torch": "feature_schema input_schema output_schema target_schema select extract"},
)

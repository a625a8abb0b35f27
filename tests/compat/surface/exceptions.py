"""What the surface lacks or has differently on purpose, each with its reason."""

_SCHEMA = "merlin_standard_lib.schema.schema"
_FILES_ONLY = "a part of schema files that nothing ever read; tensorflow_metadata's schema_pb2 has it"
_OF_A_COLUMN = (
    *("deprecated", "presence", "group_presence", "domain", "string_domain", "bool_domain", "struct_domain"),
    *("natural_language_domain", "image_domain", "mid_domain", "url_domain", "time_domain"),
    *("time_of_day_domain", "distribution_constraints", "skew_comparator", "drift_comparator"),
    *("in_environment", "not_in_environment", "lifecycle_stage", "unique_constraints"),
)
_OF_A_SCHEMA = (
    *("sparse_feature", "weighted_feature", "string_domain", "float_domain", "int_domain"),
    *("default_environment", "annotation", "dataset_constraints", "tensor_representation_group"),
)

_ARGUMENTS = "transformers4rec.config.trainer.T4RecTrainingArguments"
_SAME = "transformers 5 has another default for the same thing"

UNSUPPORTED: dict[str, str] = {
    "transformers4rec.config.trainer.T4RecTrainingArgumentsTF": "TensorFlow is not supported",
}
"""Names that raise, with reason and alternative."""

DIFFERENT: dict[str, str] = {
    f"{_SCHEMA}.Schema.column_schemas": "a dictionary by name, as in merlin.schema; iterate over the schema",
    "transformers4rec.torch.trainer.Trainer": "callbacks=None, not a list that all trainers share",
    **dict.fromkeys(
        (f"{_ARGUMENTS}.{n}" for n in ("fsdp", "gradient_checkpointing", "hub_private_repo")), _SAME
    ),
    "merlin_standard_lib.proto.schema_bp.Annotation.metadata": _FILES_ONLY,
    "merlin_standard_lib.proto.schema_bp.NaturalLanguageDomain.location_constraint_regex": _FILES_ONLY,
    **{f"{_SCHEMA}.Schema.{name}": _FILES_ONLY for name in _OF_A_SCHEMA},
    **{
        f"{column}.{name}": _FILES_ONLY
        for column in (f"{_SCHEMA}.ColumnSchema", "merlin_standard_lib.proto.schema_bp.Feature")
        for name in _OF_A_COLUMN
    },
}
"""Names that are there but differ, and parts of classes that are not."""

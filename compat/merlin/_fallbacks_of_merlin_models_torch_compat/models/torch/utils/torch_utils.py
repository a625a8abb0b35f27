"""``merlin.models.torch.utils.torch_utils`` of V1: the drop-in for Transformers4Rec has it."""

from merlin.models._legacy import served

__getattr__ = served(
    __name__,
    {
        "transformers4rec.torch.utils.torch_utils": """
            LambdaModule LossMixin MetricsMixin OutputSizeMixin
            calculate_batch_size_from_input_size check_gpu check_inputs
            create_output_placeholder extract_topk get_output_sizes_from_schema
            requires_schema tranform_label_to_onehot
        """,
    },
)

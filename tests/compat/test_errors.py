"""Errors: of the classes that 23.12.0 raised, in words that say what to do."""

import re
from importlib import import_module

import pytest
import torch
import transformers
from merlin.schema import Tags
from transformers4rec import torch as tr
from transformers4rec.torch.masking import MaskSequence

from tests.compat.small import LENGTH, batch, model, schema


def inputs(**options):
    return tr.TabularSequenceFeatures.from_schema(schema(), max_sequence_length=LENGTH, **options)


def test_unknown_masking():
    with pytest.raises(
        KeyError, match=r"'mask' is not in registry 'torch.masking': write one of \['causal', 'clm'"
    ):
        inputs(masking="mask")


def test_unknown_aggregation():
    with pytest.raises(KeyError, match=r"'sum' is not in registry 'torch.tabular_aggregations'"):
        inputs(aggregation="sum")


def test_both_projections():
    with pytest.raises(ValueError, match="d_output and projection are two ways to say the same"):
        inputs(d_output=8, projection=tr.MLPBlock([8]))


def test_masking_without_item_column():
    columns = schema().excluding_by_tag(Tags.ITEM_ID)
    with pytest.raises(
        ValueError, match=r"no categorical column of .*has the tag ITEM_ID: add it to the schema"
    ):
        tr.TabularSequenceFeatures.from_schema(columns, max_sequence_length=LENGTH, masking="mlm")


def test_a_task_without_masking():
    with pytest.raises(ValueError, match=r"needs an input block with a masking: give .*the argument masking"):
        tr.SequentialBlock(inputs(aggregation="concat", d_output=8)).to_model(tr.NextItemPredictionTask())


def test_a_body_without_positions():
    pooled = tr.Block(torch.nn.Flatten(), [-1, 8])
    body = tr.SequentialBlock(inputs(masking="mlm", d_output=8), pooled)
    with pytest.raises(ValueError, match="needs a body of rows, positions and width"):
        tr.Head(body, tr.NextItemPredictionTask())


def test_a_body_of_unknown_size():
    with pytest.raises(ValueError, match=r"wrap a module of your own in tr\.Block"):
        tr.Head(torch.nn.Linear(2, 2), tr.NextItemPredictionTask())


def test_a_masking_that_the_architecture_cannot_do():
    config = transformers.BertConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1, vocab_size=1)
    masking = inputs(masking="causal", d_output=8).masking
    with pytest.raises(
        ValueError, match=r"CausalLanguageModeling is not supported by the BertConfig architecture"
    ):
        tr.TransformerBlock(config, masking=masking)


def test_a_masking_that_asks_for_arguments_that_the_transformer_does_not_take():
    class Asking(MaskSequence):
        def transformer_required_arguments(self):
            return {"who_sees_whom": None}

    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1)
    with pytest.raises(ValueError, match=r"Asking requires the parameters \['who_sees_whom'\]"):
        tr.TransformerBlock(config, masking=Asking(hidden_size=8))


def test_to_torch_model_of_other_things():
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1)
    with pytest.raises(ValueError, match="input_features is a Linear: give a TabularSequenceFeatures"):
        config.to_torch_model(torch.nn.Linear(1, 1), tr.NextItemPredictionTask())
    with pytest.raises(ValueError, match="a task is a Linear: give instances of PredictionTask"):
        config.to_torch_model(inputs(masking="mlm", d_output=8), torch.nn.Linear(1, 1))


def test_a_name_that_is_not_offered():
    with pytest.raises(
        NotImplementedError,
        match=r"T4RecTrainingArgumentsTF is not in merlin-models-torch-compat .*See migration_",
    ):
        import_module("transformers4rec.config.trainer").T4RecTrainingArgumentsTF  # noqa: B018


def test_names_that_there_never_were():
    with pytest.raises(AttributeError, match=r"module 'transformers4rec.torch' has no attribute 'Modell'"):
        tr.Modell  # noqa: B018


def test_wrong_head_weights():
    head = model().heads[0]
    with pytest.raises(ValueError, match="give a list of 1, one for each head"):
        tr.Model(head, head_weights=[1.0, 2.0])


def test_ragged_columns_need_a_length():
    from transformers4rec.torch.utils.padding import pad_batch

    ragged = {"x__values": torch.ones(3), "x__offsets": torch.tensor([0, 1, 3])}
    with pytest.raises(ValueError, match="ragged column 'x' has no padding length"):
        pad_batch(ragged, {})


def test_sequences_of_different_lengths():
    other = batch()
    other["price"] = other["price"][:, :-1]
    with pytest.raises(ValueError, match="sequential columns differ in rows or positions"):
        model()(other, training=True)


def test_pickles_are_not_read(tmp_path):
    (tmp_path / "t4rec_model_class.pkl").write_bytes(b"not even looked at")
    with pytest.raises(
        NotImplementedError, match=r"is a pickled model, .* copy .*unpickle_model.py to where"
    ):
        tr.Model.load(tmp_path)


def test_nothing_in_the_package_unpickles():
    from pathlib import Path

    import transformers4rec

    for file in Path(transformers4rec.__file__).parent.rglob("*.py"):
        text = file.read_text()
        assert not re.search(r"^\s*(import|from) (pickle|dill)\b", text, re.MULTILINE), file
        assert "cloudpickle" not in text, file
        assert text.count("torch.load(") == text.count("weights_only=True"), file


def test_an_id_outside_its_table_is_named():
    block = inputs(aggregation="concat")
    wrong = batch()
    wrong["category"][2, 1] = 77
    with pytest.raises(
        IndexError, match=r"column 'category' has the id 77, its table has rows for 0 to 5: .*domain"
    ):
        block(wrong)


def test_vectors_that_do_not_fit_a_table():
    given = tr.PretrainedEmbeddingsInitializer(torch.ones(3, 64))
    with pytest.raises(RuntimeError, match=r"vectors of shape \(3, 64\) are given for a table of \(31, 64\)"):
        inputs(embeddings_initializers={"item_id": given})


def test_a_masking_by_its_name_is_no_masking():
    block = inputs(masking="mlm", aggregation="concat", d_output=8)
    with pytest.raises(AttributeError, match="masking is a MaskSequence or None, got 'clm': give one"):
        block.masking = "clm"
    block.masking = None
    assert block.masking is None


@pytest.mark.parametrize(
    ("options", "errors", "text"),
    [
        ({}, (AssertionError, ValueError), "the Trainer has no schema"),
        ({"schema": schema()}, (TypeError, ValueError), "the Trainer has no train_dataset_or_path"),
    ],
)
def test_a_trainer_without_schema_or_data(tmp_path, options, errors, text):
    args = tr.T4RecTrainingArguments(output_dir=str(tmp_path), report_to=[], max_sequence_length=LENGTH)
    trainer = tr.Trainer(model=model(), args=args, **options)
    for error in errors:
        with pytest.raises(error, match=f"{text}: assign trainer"):
            trainer.get_train_dataloader()


def test_a_width_that_heads_cannot_share():
    with pytest.raises(ValueError, match="d_model is 9 and n_head 2: give a width that the heads divide"):
        tr.XLNetConfig.build(9, 2, 1, LENGTH)
    with pytest.raises(ValueError, match="no other d_head than their share"):
        tr.XLNetConfig.build(8, 2, 1, LENGTH, d_head=3)


def test_a_configuration_of_nobody():
    with pytest.raises(IndexError, match="T4RecConfig has no configuration of Hugging Face among its bases"):
        tr.T4RecConfig().to_huggingface_torch_model()


def test_batches_that_cannot_be_joined():
    from transformers4rec.torch.utils.torch_utils import nested_concat

    with pytest.raises(AssertionError, match="a Tensor and a list cannot be joined"):
        nested_concat(torch.ones(2), [1.0])
    with pytest.raises(TypeError, match="tensors or arrays are joined, got int"):
        nested_concat(1, 2)


def test_sizes_of_another_kind():
    with pytest.raises(IndexError, match=r"no column has a torch\.Size, got \{'a': \[2, 3\]\}"):
        tr.ConcatFeatures().forward_output_size({"a": [2, 3]})


def test_a_module_of_no_function():
    from transformers4rec.torch.utils.torch_utils import LambdaModule

    with pytest.raises(AssertionError, match="lambda_fn is a int: give a function of the input"):
        LambdaModule(3)

"""Saved models: built again without the program that made them, and nothing else is built."""

import json
import subprocess
import sys

import pytest
import torch
import torchmetrics
from transformers4rec import torch as tr
from transformers4rec.torch.model._saved import SavedModelError

from merlin_models_torch.storage.manifest import own_digest
from tests.compat.small import LENGTH, batch, model, schema, trainer

NAMES = ("t4rec_model_class.json", "t4rec_model_class.safetensors")
TARGETS = {"click": torch.tensor([0, 1, 1, 0]), "seconds": torch.tensor([1.0, 2.0, 3.0, 4.0])}


def two_tasks():
    torch.manual_seed(0)
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, d_output=8, aggregation="concat"
    )
    body = tr.SequentialBlock(inputs, tr.Block(torch.nn.Linear(8, 6), [-1, LENGTH, 6]))
    tasks = [
        tr.BinaryClassificationTask("click", metrics=[torchmetrics.F1Score(task="binary", threshold=0.4)]),
        tr.RegressionTask("seconds", summary_type="mean", task_block=tr.MLPBlock([4])),
    ]
    return tr.Model(tr.Head(body, tasks, task_weights=[1.0, 3.0]), max_sequence_length=LENGTH, name="two")


def saved(built, folder):
    built.save(folder)
    return tr.Model.load(folder)


@pytest.mark.parametrize("masking", ["mlm", "causal"])
def test_answers_and_names_are_those_of_the_model(tmp_path, masking):
    built = model(masking).eval()
    built.top_k = 4
    again = saved(built, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(NAMES)
    assert str(again) == str(built)
    assert list(again.state_dict()) == list(built.state_dict())
    for ours, theirs in zip(again(batch()), built(batch()), strict=True):
        assert torch.equal(ours, theirs)
    assert again.input_schema == built.input_schema
    assert again.output_schema == built.output_schema


@pytest.mark.filterwarnings("ignore:.*as in Transformers4Rec 23.12.0:UserWarning")
@pytest.mark.parametrize(
    ("config", "masking"),
    [("AlbertConfig", "mlm"), ("GPT2Config", "clm"), ("TransfoXLConfig", "clm"), ("XLNetConfig", "plm")],
)
def test_every_kind_of_body(tmp_path, config, masking):
    torch.manual_seed(0)
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, masking=masking, d_output=8, embedding_dim_default=8
    )
    body = getattr(tr, config).build(d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH)
    built = body.to_torch_model(inputs, tr.NextItemPredictionTask(weight_tying=True)).eval()
    expected = built(batch())
    again = saved(built, tmp_path)
    used = again.heads[0].body[0].masking
    assert used.mask_schema is None  # what is left of the last batch is nobody's business
    assert used.masked_targets is None
    assert torch.equal(again(batch()), expected)
    assert list(again.state_dict()) == list(built.state_dict())


def test_training_goes_on_as_it_would_have(tmp_path):
    built = model()
    again = saved(built, tmp_path)
    curves = []
    for one in (built, again):
        torch.manual_seed(1)
        batches = [(batch(seed=seed), None) for seed in range(4)]
        curves.append(one.fit(batches, num_epochs=2, verbose=False))
    assert curves[0].tolist() == curves[1].tolist()


def test_what_was_shared_is_shared_again(tmp_path):
    built = model()
    again = saved(built, tmp_path)
    inputs, task = again.heads[0].body[0], again.heads[0].prediction_task_dict["next-item"]
    assert task.item_embedding_table is inputs.item_embedding_table
    assert task.masking is inputs.masking
    assert again.heads[0].body[2].masking is inputs.masking
    assert len(list(again.parameters())) == len(list(built.parameters()))


def test_what_was_changed_after_building_is_kept(tmp_path):
    built = model()
    built.heads[0].body[0].masking = tr.masking.CausalLanguageModeling(
        hidden_size=8, train_on_last_item_seq_only=True
    )
    built.heads[0].body[0].item_embedding_table.weight.requires_grad_(False)
    built.top_k, built.heads[0].prediction_task_dict["next-item"].softmax_temperature = 3, 0.5
    again = saved(built, tmp_path)
    masking = again.heads[0].body[0].masking
    assert isinstance(masking, tr.masking.CausalLanguageModeling)
    assert masking.train_on_last_item_seq_only
    assert not again.heads[0].body[0].item_embedding_table.weight.requires_grad
    assert (again.top_k, again.prediction_tasks[0].softmax_temperature) == (3, 0.5)


def test_several_tasks_with_metrics_of_torchmetrics(tmp_path):
    built = two_tasks()
    again = saved(built, tmp_path)
    assert again.name == "two"
    outputs = [one(batch(), targets=TARGETS, training=True) for one in (built, again)]
    assert torch.equal(outputs[0]["loss"], outputs[1]["loss"])
    values = [
        one.calculate_metrics(o["predictions"], o["labels"])
        for one, o in zip((built, again), outputs, strict=True)
    ]
    assert values[0] == values[1]
    assert again.prediction_tasks[0].metrics[0].threshold == 0.4


def test_sampled_softmax_and_frozen_vectors(tmp_path):
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(),
        max_sequence_length=LENGTH,
        masking="mlm",
        d_output=8,
        embeddings_initializers={"item_id": tr.PretrainedEmbeddingsInitializer(torch.rand(31, 64))},
    )
    task = tr.NextItemPredictionTask(sampled_softmax=True, max_n_samples=5)
    built = tr.Model(tr.Head(tr.SequentialBlock(inputs, tr.MLPBlock([8])), task))
    again = saved(built, tmp_path)
    for name, tensor in built.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert not again.heads[0].body[0].item_embedding_table.weight.requires_grad


def test_another_process_loads_it_without_the_program(tmp_path):
    built = model().eval()
    built.save(tmp_path)
    torch.save((batch(), built(batch())), tmp_path / "expected.pt")
    code = (
        "import sys, torch\n"
        "from transformers4rec import torch as tr\n"
        "model = tr.Model.load(sys.argv[1])\n"
        "inputs, expected = torch.load(sys.argv[1] + '/expected.pt', weights_only=True)\n"
        "assert torch.equal(model(inputs), expected)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class OfAUser(torch.nn.Module):
    def forward(self, x):
        return x


def test_classes_and_functions_of_the_program_are_refused(tmp_path):
    built = model()
    built.heads[0].body.add_module("own", OfAUser())
    with pytest.raises(SavedModelError, match=r"OfAUser is not part of this library.*model\.state_dict\(\)"):
        built.save(tmp_path / "new")
    other = two_tasks()
    other.prediction_tasks[1].forward_to_prediction_fn = lambda x: x * 2
    with pytest.raises(SavedModelError, match=r"<lambda> is not part of this library"):
        other.save(tmp_path / "new")
    hooked = two_tasks()
    hooked.heads[0].register_forward_hook(lambda *args: None)
    with pytest.raises(SavedModelError, match=r"heads\.0 has hooks"):
        hooked.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_files_that_are_missing_changed_or_mixed_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        tr.Model.load(tmp_path)
    model().save(tmp_path / "one")
    model(seed=1).save(tmp_path / "two")
    config, weights = NAMES
    (tmp_path / "one" / weights).write_bytes((tmp_path / "two" / weights).read_bytes())
    with pytest.raises(SavedModelError, match="was changed or is of another model"):
        tr.Model.load(tmp_path / "one")
    (tmp_path / "two" / config).write_text("{")
    with pytest.raises(SavedModelError, match="is no JSON"):
        tr.Model.load(tmp_path / "two")
    (tmp_path / "two" / config).write_text('{"format": 2}')
    with pytest.raises(SavedModelError, match="not of format 1"):
        tr.Model.load(tmp_path / "two")


def with_model(folder, content):
    """A saved model with something else in its place."""
    model().save(folder)
    path = folder / NAMES[0]
    said = {**json.loads(path.read_text()), "model": content}
    del said["digest"]
    path.write_text(json.dumps({**said, "digest": own_digest(said)}, indent=1))
    return folder


@pytest.mark.parametrize(
    "content",
    [
        {"id": 0, "object": "os:system", "state": {}},
        {"id": 0, "object": "torch.hub:load", "state": {}},
        {"id": 0, "object": "transformers4rec.torch.model._loops:np.ndarray", "state": {}},
        {
            "id": 0,
            "model": "transformers.modeling_utils:PreTrainedModel",
            "of": None,
        },
        {"id": 0, "partial": {"function": "builtins:exec"}, "args": ["1"], "keywords": {"dict": []}},
        {"function": "transformers4rec.torch._checkpoint:load"},
        {"function": "torch.serialization:load"},
        {"type": "subprocess:Popen"},
        {"pickle": "gASVBQAAAAAAAABLAS4="},
        {"torch": "torch.load"},
        {"same": 7},
    ],
)
def test_nothing_but_trusted_classes_is_built(tmp_path, content):
    with pytest.raises(SavedModelError, match=r"the saved model (names|holds)"):
        tr.Model.load(with_model(tmp_path, content))


def test_a_config_cannot_name_code_of_a_repository(tmp_path):
    from transformers4rec.torch.model._saved.reader import Reader

    values = {
        "d_model": 8,
        "n_head": 2,
        "n_layer": 1,
        "_attn_implementation": "someone/kernels",
        "auto_map": {},
    }
    content = {
        "id": 0,
        "config": "transformers.models.xlnet.configuration_xlnet:XLNetConfig",
        "values": values,
        "attention": "someone/kernels",
    }
    config = Reader({}).read(content)
    assert config.d_model == 8
    assert config._attn_implementation != "someone/kernels"
    assert not hasattr(config, "auto_map")


def test_what_lacks_a_part_is_refused(tmp_path):
    layer = {
        "id": 0,
        "layer": "torch.nn.modules.linear:Linear",
        "args": {"in_features": 2, "out_features": 2},
    }
    with pytest.raises(SavedModelError, match="cannot be built by this version"):
        tr.Model.load(with_model(tmp_path, layer))


def test_something_else_than_a_model_is_refused(tmp_path):
    with pytest.raises(SavedModelError, match="holds a int, not a Model"):
        tr.Model.load(with_model(tmp_path, 3))


def test_a_folder_without_a_saved_model_says_what_to_do(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    made = trainer(tmp_path)
    for load in (tr.Model.load, made.load_model_trainer_states_from_checkpoint):
        with pytest.raises(FileNotFoundError, match=r"no saved model .*t4rec_model_class.json: .*as model="):
            load(str(tmp_path))

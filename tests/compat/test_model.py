"""The model: names of its weights, scores and loss in the three modes."""

import numpy as np
import pytest
import torch
import transformers
from merlin.schema import ColumnSchema, Schema, Tags
from transformers4rec import torch as tr

from tests.compat.small import LENGTH, batch, model, schema

ALIASES = {
    "heads.0.body.2.masking.masked_item_embedding": "heads.0.body.0._masking.masked_item_embedding",
    "heads.0.prediction_task_dict.next-item.masking.masked_item_embedding": (
        "heads.0.body.0._masking.masked_item_embedding"
    ),
    **{
        f"heads.0.prediction_task_dict.next-item.embeddings.embedding_tables.{name}.weight": (
            f"heads.0.body.0.to_merge.categorical_module.embedding_tables.{name}.weight"
        )
        for name in ("item_id", "category")
    },
    **{
        f"heads.0.prediction_task_dict.next-item.{where}item_embedding_table.weight": (
            "heads.0.body.0.to_merge.categorical_module.embedding_tables.item_id.weight"
        )
        for where in ("", "pre.module.")
    },
}


def test_weights_have_the_names_and_aliases_of_23_12_0():
    state = model().state_dict()
    own = [name for name in state if name not in ALIASES]
    layer = "heads.0.body.2.transformer.layer.0."
    attention = ["q", "k", "v", "o", "r", "r_r_bias", "r_s_bias", "r_w_bias", "seg_embed"]
    assert own == [
        "heads.0.body.0.to_merge.continuous_module.1.0.0.weight",
        "heads.0.body.0.to_merge.continuous_module.1.0.0.bias",
        "heads.0.body.0.to_merge.categorical_module.embedding_tables.item_id.weight",
        "heads.0.body.0.to_merge.categorical_module.embedding_tables.category.weight",
        "heads.0.body.0.projection_module.0.0.weight",
        "heads.0.body.0.projection_module.0.0.bias",
        "heads.0.body.0._masking.masked_item_embedding",
        "heads.0.body.1.0.0.weight",
        "heads.0.body.1.0.0.bias",
        "heads.0.body.2.transformer.mask_emb",
        "heads.0.body.2.transformer.word_embedding.weight",
        *(f"{layer}rel_attn.{name}" for name in attention),
        *(f"{layer}rel_attn.layer_norm.{name}" for name in ("weight", "bias")),
        *(
            f"{layer}ff.{part}.{n}"
            for part in ("layer_norm", "layer_1", "layer_2")
            for n in ("weight", "bias")
        ),
    ]
    assert set(state) == {*own, *ALIASES}
    for alias, name in ALIASES.items():
        assert state[alias].data_ptr() == state[name].data_ptr()


def test_the_transformer_is_hugging_faces():
    transformer = model().heads[0].body[2].transformer
    assert isinstance(transformer, transformers.XLNetModel)
    assert isinstance(transformer.config, transformers.XLNetConfig)
    assert isinstance(transformer.config, tr.XLNetConfig)


@pytest.mark.parametrize("attn_type", ["bi", "uni"])
def test_the_body_equals_hugging_faces(attn_type):
    ours = model(attn_type=attn_type).heads[0].body[2].transformer.eval()
    theirs = transformers.XLNetModel(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(3, LENGTH, 8)
    torch.testing.assert_close(ours(inputs_embeds=inputs)[0], theirs(inputs_embeds=inputs)[0])


def test_the_body_answers_unusual_calls_as_hugging_face_does():
    ours = model().heads[0].body[2].transformer.eval()
    theirs = transformers.XLNetModel(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    inputs, mask = torch.randn(2, 4, 8), torch.tensor([[1.0, 1, 1, 0], [1, 1, 0, 0]])
    call = {"inputs_embeds": inputs, "attention_mask": mask, "output_hidden_states": True}
    mine, other = ours(**call), theirs(**call)
    torch.testing.assert_close(mine.hidden_states, other.hidden_states)


@pytest.mark.parametrize(("masking", "options"), [("mlm", {}), ("mlm", {"softmax_temperature": 2.0})])
def test_loss_in_training_is_cross_entropy_of_the_scores(masking, options):
    trained, plain = model(masking, **options), model(masking, **options)
    torch.manual_seed(1)
    output = trained(batch(), training=True)
    output["loss"].backward()
    torch.manual_seed(1)
    other = plain(batch(), training=True)
    loss = torch.nn.functional.cross_entropy(other["predictions"], other["labels"])
    loss.backward()
    torch.testing.assert_close(output["loss"], loss)
    for (name, ours), theirs in zip(trained.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def test_a_loss_of_the_users_own_gets_scores_and_targets():
    class Margin(torch.nn.MultiMarginLoss):
        pass

    built = model(loss=Margin())
    torch.manual_seed(1)
    output = built(batch(), training=True)
    expected = torch.nn.functional.multi_margin_loss(output["predictions"], output["labels"])
    torch.testing.assert_close(output["loss"], expected)


def test_training_gives_a_plain_dictionary_to_whoever_copies_it():
    output = model()(batch(), training=True)
    for copied in (dict(output), {**output}, output.copy(), dict(output.items())):
        assert list(copied) == ["loss", "labels", "predictions"]
        torch.testing.assert_close(copied["predictions"], output["predictions"])
    assert output.pop("predictions").shape == (len(output["labels"]), 31)
    assert output.get("predictions") is None


def test_predictions_read_after_a_step_are_those_before_it():
    built, at_once = model(), model()
    at_once.load_state_dict(built.state_dict())
    torch.manual_seed(1)
    expected = at_once(batch(), training=True)["predictions"].detach()
    torch.manual_seed(1)
    output = built(batch(), training=True)
    scored = []
    task = built.heads[0].prediction_task_dict["next-item"]
    task.pre.register_forward_hook(lambda *_: scored.append(1))
    output["loss"].backward()
    assert not scored, "all scores were made though nobody had read them"
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(1)
    assert torch.equal(output["predictions"], expected)


def test_outputs_of_training_are_read_in_every_way():
    built = model().eval()

    def output():
        torch.manual_seed(1)
        return built(batch(), training=True)

    expected = output()["predictions"]
    for read in (
        (output() | {})["predictions"],
        output().setdefault("predictions", None),
        dict([output().popitem()])["predictions"],
    ):
        assert torch.equal(read, expected)
    assert "tensor(" in repr(output())
    assert output() != {}
    assert type(built(batch(), testing=True)) is dict


def test_evaluation_predicts_the_last_item_of_each_session():
    inputs = batch()
    output = model().eval()(inputs, testing=True)
    last = (inputs["item_id"] != 0).sum(1) - 1
    assert output["labels"].tolist() == inputs["item_id"][torch.arange(4), last].tolist()
    expected = torch.nn.functional.cross_entropy(output["predictions"], output["labels"])
    torch.testing.assert_close(output["loss"], expected)


def test_evaluation_equals_inference_on_shorter_sessions_of_full_length():
    # Without padding in front of the mask the two see the same sequence.
    built = model().eval()
    inputs = {name: x.clamp(min=1) for name, x in batch().items()}
    evaluated = built(inputs, testing=True)["predictions"]
    predicted = built({name: x[:, :-1] for name, x in inputs.items()})
    torch.testing.assert_close(evaluated, predicted)


def test_inference_answers_the_best_items_with_top_k():
    built = model().eval()
    scores = built(batch())
    built.top_k = 4
    best, items = built(batch())
    expected = scores.topk(4)
    torch.testing.assert_close(best, expected.values)
    assert items.tolist() == expected.indices.tolist()


def test_ragged_columns_are_padded_to_the_longest_of_the_batch():
    built, inputs = model().eval(), batch()
    lengths = (inputs["item_id"] != 0).sum(1)
    longest = int(lengths.max())
    offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    inside = torch.arange(LENGTH) < lengths[:, None]
    ragged = {f"{name}__values": x[inside] for name, x in inputs.items()}
    ragged |= {f"{name}__offsets": offsets for name in inputs}
    torch.testing.assert_close(built(ragged), built({name: x[:, :longest] for name, x in inputs.items()}))


def test_the_callers_columns_become_float32_and_nothing_else_changes():
    inputs = {name: x.double() if x.is_floating_point() else x for name, x in batch().items()}
    before, built = dict(inputs), model()
    built(inputs, training=True)
    assert {name: x.dtype for name, x in inputs.items()} == {name: x.dtype for name, x in batch().items()}
    assert all(torch.equal(inputs[name].to(x.dtype), x) for name, x in before.items())
    assert built.heads[0].body(inputs).dtype is torch.float32


def test_a_list_column_of_unknown_length_is_taken():
    unknown = ColumnSchema(
        "item_id",
        tags=[Tags.ITEM_ID, Tags.CATEGORICAL, Tags.LIST],
        dtype="int64",
        is_list=True,
        properties={"domain": {"min": 0, "max": 30}},
    )
    inputs = tr.TabularSequenceFeatures.from_schema(
        Schema([unknown]), max_sequence_length=LENGTH, masking="mlm", d_output=8
    )
    assert inputs(batch(), training=True).shape == (4, LENGTH, 8)


def test_config_to_torch_model_builds_the_same_model():
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, masking="mlm", d_output=8, embedding_dim_default=8
    )
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH)
    built = config.to_torch_model(inputs, tr.NextItemPredictionTask(weight_tying=True))
    assert built.heads[0].body[1].masking is inputs.masking
    assert built(batch(), training=True)["predictions"].shape[1] == 31


def test_weight_tying_adds_a_projection_where_widths_differ(caplog):
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, masking="mlm", d_output=8, embedding_dim_default=12
    )
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, total_seq_length=LENGTH)
    built = config.to_torch_model(inputs, tr.NextItemPredictionTask(weight_tying=True))
    assert "a linear layer is added" in caplog.text
    block = built.heads[0].prediction_task_dict["next-item"].task_block
    assert block[0][0].weight.shape == (12, 8)


def test_a_vector_of_each_row_stands_beside_sequences():
    columns = schema().select_by_name(["item_id"])
    vector = ColumnSchema("vector", tags=[Tags.EMBEDDING], dtype=np.float32, dims=(None, 5))
    inputs = tr.TabularSequenceFeatures.from_schema(
        Schema([*columns, vector]), aggregation="concat", embedding_dim_default=4
    )
    assert inputs.output_size() == (-1, 20, 9)
    vectors = torch.arange(20.0).reshape(4, 5)
    output = inputs({**batch(), "vector": vectors})
    assert torch.equal(output[..., 4:], vectors[:, None].expand(-1, LENGTH, -1))
    alone = tr.TabularFeatures.from_schema(Schema([vector]), aggregation="concat")
    assert alone.output_size() == (-1, 5)
    assert torch.equal(alone({"vector": vectors}), vectors)


def test_a_masking_can_be_assigned():
    inputs = model().heads[0].body[0]
    masking = tr.masking.CausalLanguageModeling(hidden_size=8)
    inputs.masking = masking
    assert inputs.masking is masking
    assert [name for name, _ in inputs.named_children()].count("_masking") == 1
    assert "masking" not in dict(inputs.named_children())


def test_aggregations_and_tabular_composition_by_name():
    sums = tr.TabularSequenceFeatures.from_schema(
        schema().excluding_by_name(["price"]), max_sequence_length=LENGTH, aggregation="element-wise-sum"
    )
    columns = tr.TabularSequenceFeatures.from_schema(
        schema().excluding_by_name(["price"]), max_sequence_length=LENGTH
    )
    columns.load_state_dict(sums.state_dict())
    parts = columns(batch())
    torch.testing.assert_close(sums(batch()), parts["item_id"] + parts["category"])
    multiplied = columns(batch(), aggregation=tr.ElementwiseSumItemMulti(schema()))
    torch.testing.assert_close(multiplied, parts["item_id"] * parts["category"])


def test_soft_and_pretrained_columns_have_the_weights_of_23_12_0():
    columns = schema().select_by_name(["item_id", "price"])
    vectors = ColumnSchema("vector", tags=[Tags.EMBEDDING], dtype=np.float32, dims=(None, (0, 20), 6))
    given = torch.rand(31, 64)
    inputs = tr.TabularSequenceFeatures.from_schema(
        columns + Schema([vectors]),
        max_sequence_length=LENGTH,
        masking="mlm",
        d_output=8,
        continuous_soft_embeddings=True,
        pretrained_output_dims=4,
        normalizer="layer-norm",
        embeddings_initializers={"item_id": tr.PretrainedEmbeddingsInitializer(given)},
    )
    soft, pretrained = "to_merge.continuous_module.", "to_merge.pretrained_embedding_module."
    assert list(inputs.state_dict()) == [
        f"{soft}post.feature_layer_norm.price.weight",
        f"{soft}post.feature_layer_norm.price.bias",
        f"{soft}embedding_tables.price.embedding_table.weight",
        f"{soft}embedding_tables.price.projection_layer.weight",
        f"{soft}embedding_tables.price.projection_layer.bias",
        "to_merge.categorical_module.embedding_tables.item_id.weight",
        f"{pretrained}post.feature_layer_norm.vector.weight",
        f"{pretrained}post.feature_layer_norm.vector.bias",
        f"{pretrained}projection.vector.weight",
        f"{pretrained}projection.vector.bias",
        "projection_module.0.0.weight",
        "projection_module.0.0.bias",
        "_masking.masked_item_embedding",
    ]
    torch.testing.assert_close(inputs.item_embedding_table.weight.data, given)
    assert not inputs.item_embedding_table.weight.requires_grad
    columns = {**batch(), "vector": torch.rand(4, LENGTH, 6)}
    assert inputs(columns, training=True).shape == (4, LENGTH, 8)


def test_several_tasks_on_one_body():
    torch.manual_seed(0)
    inputs = tr.TabularSequenceFeatures.from_schema(
        schema(), max_sequence_length=LENGTH, d_output=8, aggregation="concat"
    )
    config = tr.XLNetConfig.build(d_model=8, n_head=2, n_layer=1, dropout=0.0)
    body = tr.SequentialBlock(inputs, tr.TransformerBlock(config))
    click, watched = tr.BinaryClassificationTask("click"), tr.RegressionTask("seconds", summary_type="mean")
    built = tr.Model(tr.Head(body, [click, watched], task_weights=[1.0, 3.0], inputs=inputs))
    targets = {"click": torch.tensor([0, 1, 1, 0]), "seconds": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    output = built(batch(), targets=targets, training=True)
    hidden = body(batch())
    chance = torch.sigmoid(hidden[:, 0] @ click.pre[0].weight.t()).squeeze(-1)
    seconds = watched.pre[0](hidden.mean(1)).squeeze(-1)
    names = ["click/binary_classification_task", "seconds/regression_task"]
    assert list(output["predictions"]) == names
    torch.testing.assert_close(output["predictions"][names[0]], chance)
    torch.testing.assert_close(output["predictions"][names[1]], seconds)
    first = torch.nn.functional.binary_cross_entropy(chance, targets["click"].float())
    second = torch.nn.functional.mse_loss(seconds, targets["seconds"])
    torch.testing.assert_close(output["loss"], (first + 3 * second) / 2)
    values = built.calculate_metrics(output["predictions"], output["labels"])
    assert set(values) == {
        *(f"{names[0]}/binary_{metric}" for metric in ("precision", "recall", "accuracy")),
        f"{names[1]}/mean_squared_error",
    }


def test_compute_loss_is_the_loss_of_training_with_or_without_metrics():
    built = model("causal").eval()
    torch.manual_seed(0)
    loss = built(batch(), training=True)["loss"]
    built.reset_metrics()
    assert built.compute_loss(batch(), None, compute_metrics=False) == loss
    assert all(not metric.metric_mean for metric in built.prediction_tasks[0].metrics)
    assert built.compute_loss(batch(), None) == loss
    assert all(metric.metric_mean for metric in built.prediction_tasks[0].metrics)


def test_a_module_of_ones_own_may_be_a_head():
    class Prices(torch.nn.Module):
        def forward(self, inputs, training=False, **kwargs):
            doubled = inputs["price"] * 2
            if not training:
                return {"prices": doubled}
            return {"loss": doubled.sum(), "labels": {"prices": doubled}, "predictions": {"prices": doubled}}

    data = batch()
    built = tr.Model(Prices(), head_weights=[0.5])
    assert torch.equal(built(data), data["price"] * 2)
    result = built(data, training=True)
    torch.testing.assert_close(result["loss"], data["price"].sum())
    assert torch.equal(result["predictions"], data["price"] * 2)

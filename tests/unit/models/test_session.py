"""SessionModel: it is the model written out, and every body and masking trains and is saved."""

from pathlib import Path

import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from tests.unit.schemas import categorical, session_schema
from tests.unit.sessions import session_batch, session_table


@pytest.mark.parametrize("options", [{}, {"normalized": True, "temperature": 0.07}])
def test_the_builder_makes_the_model_written_out(options: dict[str, float]) -> None:
    schema = mm.Schema([categorical("item_id", 30, mm.Tags.ITEM_ID)])
    torch.manual_seed(0)
    built = mm.SessionModel(schema, dim=16, max_sequence_length=8, **options)
    torch.manual_seed(0)
    inputs = mm.TabularInputBlock(
        schema, embedding_dim=16, masking=mm.CausalMasking(), max_sequence_length=8, continuous_projection=16
    )
    body = mm.TransformerBlock(16, heads=2, layers=2, dropout=0.2, max_length=9)
    written = mm.Model(inputs, body, mm.CategoricalOutput(weight_tying=True, **options))
    assert list(built.state_dict()) == list(written.state_dict())
    batch = session_batch()
    assert torch.equal(built.eval()(batch), written.eval()(batch))


@pytest.mark.parametrize(
    ("body", "masking"),
    [
        ("transformer", "causal"),
        ("transformer", "random"),
        ("xlnet", "causal"),
        ("xlnet", mm.RandomMasking(probability=0.5)),
        # Without a body that mixes positions only the item before the next one tells anything.
        (nn.GELU(), "causal"),
    ],
)
def test_every_part_gets_a_gradient_and_saved_answers_are_equal(
    body: str | nn.Module, masking: str | mm.Masking, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = mm.SessionModel(session_schema(), dim=16, body=body, masking=masking, max_sequence_length=6)  # type: ignore[arg-type]
    batch = model.inputs.for_training(session_batch())
    model.output.loss(model.body(batch), batch).backward()
    mask_is_used = not isinstance(model.inputs.masking, mm.CausalMasking)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and ("mask_vector" not in name or mask_is_used):
            assert parameter.grad is not None, name
            assert parameter.grad.any() or name.endswith(("bias", "norm.weight")), name
    loaded = mm.load(model.save(tmp_path / "model"))
    assert loaded.predict(session_table(), k=3).equals(model.predict(session_table(), k=3))


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="masking is 'mlm', expected 'causal', 'random'"):
        mm.SessionModel(session_schema(), masking="mlm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="body is 'bert', expected 'transformer', 'xlnet'"):
        mm.SessionModel(session_schema(), body="bert")  # type: ignore[arg-type]


def test_permuted_masking_by_name_makes_an_xlnet_of_two_streams() -> None:
    model = mm.SessionModel(session_schema(), dim=16, body="xlnet", masking="permuted", top_ks=(5,))
    (xlnet,) = [module for module in model.body.modules() if isinstance(module, mm.XLNetBlock)]
    assert xlnet.mask_emb is not None
    with pytest.raises(ValueError, match=r"TransformerBlock has one stream.*two_streams=True"):
        mm.SessionModel(session_schema(), dim=16, masking="permuted", top_ks=(5,))

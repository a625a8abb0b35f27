"""Arguments of the Trainer: those of transformers 4.30 act, and say what they are called now."""

import dataclasses
import os

import pytest
from deprecation import DeprecatedWarning
from transformers import HfArgumentParser, TrainingArguments
from transformers4rec.config.trainer import T4RecTrainingArguments
from transformers4rec.torch._adamw import AdamW
from transformers4rec.torch.trainer import Trainer

from tests.compat.small import arguments


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("no_cuda", True, "use_cpu"),
        ("evaluation_strategy", "steps", "eval_strategy"),
        ("per_gpu_train_batch_size", 7, "per_device_train_batch_size"),
        ("per_gpu_eval_batch_size", 9, "per_device_eval_batch_size"),
        ("push_to_hub_token", "secret", "hub_token"),
    ],
)
def test_renamed_arguments_act_and_say_their_new_name(tmp_path, old, value, new):
    with pytest.warns(DeprecatedWarning, match=rf"T4RecTrainingArguments\({old}=\).*Write {new} instead"):
        given = arguments(tmp_path, **{old: value})
    assert getattr(given, new) == value
    assert getattr(given, old) == value


def test_defaults_are_those_of_transformers_4_30(tmp_path):
    given = T4RecTrainingArguments(str(tmp_path), use_cpu=True)
    assert given.optim == "adamw_hf"
    assert given.save_safetensors is False
    assert given.evaluation_strategy == "no"
    assert given.predict_top_k == 100
    assert given.data_loader_engine == "merlin"
    assert given.learning_rate_num_cosine_cycles_by_epoch == 1.25
    assert isinstance(given, TrainingArguments)
    cls, options = Trainer.get_optimizer_cls_and_kwargs(given)
    assert cls is AdamW
    assert options == {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-8}


def test_arguments_without_effect_say_so(tmp_path):
    with pytest.warns(DeprecatedWarning, match=r"fp16_opt_level=\).*It has no effect"):
        assert arguments(tmp_path, fp16_opt_level="O2").fp16_opt_level == "O2"


def test_adafactor_chooses_the_optimiser(tmp_path):
    with pytest.warns(DeprecatedWarning, match="optim='adafactor'"):
        assert arguments(tmp_path, adafactor=True).optim == "adafactor"


def test_warmup_ratio_is_not_used_and_says_so(tmp_path):
    with pytest.warns(UserWarning, match="warmup_ratio is not used.*give warmup_steps"):
        assert arguments(tmp_path, warmup_ratio=0.3).warmup_steps == 0


def test_logging_dir_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "before")
    with pytest.warns(DeprecatedWarning, match="TENSORBOARD_LOGGING_DIR"):
        arguments(tmp_path, logging_dir=str(tmp_path / "logs"))
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "logs")


def test_the_best_model_by_loss_is_the_worst_as_in_23_12_0_and_says_so(tmp_path):
    with pytest.warns(UserWarning, match="give greater_is_better=False"):
        given = arguments(tmp_path, metric_for_best_model="eval_/loss")
    assert given.greater_is_better is True
    assert arguments(tmp_path, metric_for_best_model="eval_/next-item/ndcg_at_10").greater_is_better is True


def test_a_subclass_and_the_parser_of_hugging_face_work(tmp_path):
    @dataclasses.dataclass
    class Mine(T4RecTrainingArguments):
        d_model: int = 16

    parser = HfArgumentParser(Mine)
    flags = ["--output_dir", str(tmp_path), "--d_model", "32", "--no_cuda", "--predict_top_k", "5"]
    with pytest.warns(DeprecatedWarning, match="no_cuda"):
        (given,) = parser.parse_args_into_dataclasses(flags)
    assert (given.d_model, given.use_cpu, given.predict_top_k) == (32, True, 5)


def test_arguments_go_to_json_and_back(tmp_path):
    given = arguments(tmp_path, max_sequence_length=12)
    again = T4RecTrainingArguments(
        **{
            f.name: getattr(given, f.name)
            for f in dataclasses.fields(given)
            if f.init and f.name != "report_to"
        }
    )
    assert again.max_sequence_length == 12
    assert '"optim": "adamw_hf"' in given.to_json_string()


def test_flags_of_4_30_parse_each_to_its_kind(tmp_path):
    flags = (
        f"--output_dir {tmp_path} --no_cuda --evaluation_strategy steps --eval_steps 5 --report_to none"
        " --optim adamw_hf --past_index 2 --overwrite_output_dir --save_safetensors False --tpu_num_cores 8"
        " --predict_top_k 7 --log_predictions --max_sequence_length 12"
    )
    with pytest.warns(DeprecatedWarning):
        (given,) = HfArgumentParser(T4RecTrainingArguments).parse_args_into_dataclasses(flags.split())
    assert (given.report_to, given.eval_strategy, given.use_cpu) == ([], "steps", True)
    assert (given.past_index, given.tpu_num_cores, given.save_safetensors) == (2, 8, False)
    assert (given.predict_top_k, given.log_predictions, given.max_sequence_length) == (7, True, 12)


def test_what_programs_read_of_the_arguments_is_there(tmp_path):
    given = arguments(tmp_path)
    assert given.logging_dir.startswith(os.path.join(str(tmp_path), "runs"))
    assert given.local_rank == 0
    assert given.framework == "pt"
    assert given.no_cuda is True


def test_a_run_is_named_like_its_folder(tmp_path):
    assert arguments(tmp_path).run_name == arguments(tmp_path).output_dir
    assert arguments(tmp_path, run_name="mine").run_name == "mine"


def test_an_optimiser_of_apex_becomes_torchs(tmp_path):
    with pytest.warns(DeprecatedWarning, match="optim='adamw_torch_fused'"):
        assert arguments(tmp_path, optim="adamw_apex_fused").optim == "adamw_torch_fused"


def test_the_owner_goes_before_the_name_on_the_hub(tmp_path):
    with pytest.warns(DeprecatedWarning, match="hub_model_id='organization/name'"):
        given = arguments(tmp_path, push_to_hub_model_id="mine", push_to_hub_organization="us")
    assert given.hub_model_id == "us/mine"


def test_a_warmup_ratio_out_of_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"warmup_ratio is 1\.5, expected 0 to 1"):
        arguments(tmp_path, warmup_ratio=1.5)


def test_smoothing_that_never_acted_is_told_of(tmp_path):
    with pytest.warns(UserWarning, match="label_smoothing_factor has no effect.*LabelSmoothCrossEntropyLoss"):
        given = arguments(tmp_path, label_smoothing_factor=0.1)
    assert given.label_smoothing_factor == 0.0


@pytest.mark.parametrize("argument", ["fp16", "fp16_full_eval"])
def test_half_precision_needs_an_accelerator(tmp_path, argument):
    with pytest.raises(ValueError, match="fp16_full_eval need an accelerator, the device is cpu"):
        arguments(tmp_path, **{argument: True})


def test_no_norm_is_no_clipping(tmp_path):
    assert arguments(tmp_path, max_grad_norm=None).max_grad_norm == 0.0

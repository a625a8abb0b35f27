"""Evaluation and prediction of the Trainer: batches are ranked once, and joined once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.trainer_pt_utils import find_batch_size
from transformers.trainer_utils import EvalLoopOutput

from transformers4rec.torch._kept import Kept
from transformers4rec.torch._outputs import Outputs
from transformers4rec.torch.model import _item_metrics
from transformers4rec.torch.model._ranked_scores import RankedScores, best_wanted, only_best_wanted
from transformers4rec.torch.model.prediction_task import NextItemPredictionTask
from transformers4rec.torch.ranking_metric import Ranking, best_items
from transformers4rec.torch.utils.torch_utils import nested_detach


def process_metrics(metrics: dict[str, Any], prefix: str = "", to_cpu: bool = True) -> dict[str, Any]:
    """Metrics of several tasks in one dictionary.

    Args:
        metrics: values by name, or these by task.
        prefix: put before each name.
        to_cpu: whether values become plain numbers.
    """
    flat: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flat.update(process_metrics(value, prefix=prefix, to_cpu=to_cpu))
        else:
            flat[f"{prefix}{name}"] = value.cpu().numpy().item() if to_cpu else value
    return flat


class EvaluationMixin:
    """What the Trainer does to evaluate and predict, put before Hugging Face's Trainer in the bases."""

    _log_predictions_callback: Callable[..., Any] | None = None

    def prediction_step(
        self,
        model: Any,
        inputs: Any,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
        training: bool = False,
        testing: bool = True,
    ) -> tuple[Any, Any, Any, Any]:
        """Loss, predictions and labels of a batch; a fourth place is kept for more outputs.

        Args:
            model: the model.
            inputs: inputs and targets.
            prediction_loss_only: whether predictions and labels are left out.
            ignore_keys: not used.
            training: as for the model.
            testing: as for the model; without it there are predictions only.
        """
        inputs, targets = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            outputs = model(inputs, targets=targets, training=training, testing=testing)
        loss = outputs["loss"].mean().detach() if testing else None
        if prediction_loss_only:
            return loss, None, None, None
        if not testing:
            return None, nested_detach(outputs), None, None
        ranked = outputs.raw("predictions") if isinstance(outputs, Outputs) else None
        if best_wanted() and isinstance(ranked, RankedScores):
            return loss, ranked, nested_detach(outputs["labels"]), None
        return loss, nested_detach(outputs["predictions"]), nested_detach(outputs["labels"]), None

    def _best_wanted(self, model: Any) -> int:
        """The best items that evaluation needs of each row; 0 where something needs all scores."""
        tasks = model.prediction_tasks
        if type(self).prediction_step is not EvaluationMixin.prediction_step or len(tasks) != 1:
            return 0
        keep = self.args.predict_top_k or 0
        if not keep or not isinstance(tasks[0], NextItemPredictionTask):
            return 0
        if self.compute_metrics is None:
            return keep
        shared = _item_metrics.share_one_ranking(tasks[0], model)
        return max(keep, _item_metrics.largest_top_k(tasks[0])) if shared else 0

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """What ``evaluate`` and ``predict`` share.

        Args:
            dataloader: batches.
            description: "Prediction" predicts; anything else evaluates.
            prediction_loss_only: whether only the loss is wanted.
            ignore_keys: not used.
            metric_key_prefix: put before the names of metrics; with "train" only some batches are evaluated.

        Raises:
            ValueError: if the loader's data has no length.
        """
        if prediction_loss_only is None:
            prediction_loss_only = self.args.prediction_loss_only
        testing = description != "Prediction"
        model = self.model
        if self.compute_metrics:
            model.reset_metrics()
        if not hasattr(dataloader.dataset, "__len__"):
            raise ValueError("the data of the loader has no length: give its dataset a __len__")
        kept = Kept(dataloader._batch_size)
        limit = self.args.eval_steps_on_train_set if metric_key_prefix == "train" else 0
        num_examples = limit * kept.batch_size if limit else self.num_examples(dataloader)
        model.eval()
        self.callback_handler.eval_dataloader = dataloader
        for step, inputs in enumerate(dataloader):
            kept.rows += find_batch_size(inputs) or 0
            if limit and step >= limit:
                break
            with only_best_wanted(0 if prediction_loss_only else self._best_wanted(model)):
                loss, predictions, labels, _ = self.prediction_step(
                    model, inputs, prediction_loss_only, ignore_keys=ignore_keys, testing=testing
                )
            measure = self.compute_metrics is not None and testing and labels is not None
            if measure and step % self.args.compute_metrics_each_n_steps:
                measure = False
            predictions, values = self._ranked(model, predictions, labels, measure)
            answers = predictions.get("next-item") if isinstance(predictions, dict) else predictions
            if isinstance(answers, tuple):
                self._maybe_log_predictions(labels, *answers, values, metric_key_prefix)
            self._keep(kept, loss, predictions, labels)
            self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
            accumulated = self.args.eval_accumulation_steps
            if accumulated is not None and (step + 1) % accumulated == 0:
                kept.to_cpu()
        if hasattr(self, "_past"):
            del self._past
        metrics: dict[str, Any] = {}
        if self.compute_metrics and testing:
            streamed = model.compute_metrics(mode=metric_key_prefix)
            metrics.update(process_metrics(streamed, prefix=f"{metric_key_prefix}_/"))
        if testing:
            metrics[f"{metric_key_prefix}_/loss"] = kept.loss()
        if self.args.world_size > 1:
            rows = torch.tensor([kept.rows], device=self.args.device)
            kept.rows = int(self.accelerator.gather(rows).sum())
        return EvalLoopOutput(
            predictions=kept.all_predictions(),
            label_ids=kept.all_labels(),
            metrics=metrics,
            num_samples=num_examples,
        )

    def _keep(self, kept: Kept, loss: Any, predictions: Any, labels: Any) -> None:
        """Adds a batch, with those of the other processes; the loss is then the mean of theirs."""
        together = self.args.world_size > 1
        if loss is not None:
            kept.losses.append(self.accelerator.gather(loss).mean() if together else loss)
        for tensors, batches in ((predictions, kept.predictions), (labels, kept.labels)):
            if tensors is not None:
                batches.append(self.accelerator.gather(tensors) if together else tensors)

    def _ranked(self, model: Any, predictions: Any, labels: Any, measure: bool) -> tuple[Any, Any]:
        """Predictions of items cut to the best, and the metrics of the batch, from one ranking."""
        several = isinstance(predictions, dict)
        scores = predictions.get("next-item") if several else predictions
        tasks = [task for task in model.prediction_tasks if isinstance(task, NextItemPredictionTask)]
        keep = self.args.predict_top_k or 0
        if scores is None or not tasks or not (keep or model.top_k):
            return predictions, model.calculate_metrics(predictions, labels) if measure else None
        if isinstance(scores, list | tuple):
            if keep and keep > model.top_k:
                raise ValueError(
                    f"predict_top_k is {keep} and the model's top_k {model.top_k}, so the model answers "
                    "fewer items than are wanted: lower predict_top_k or raise top_k"
                )
            best, items = (part[:, :keep] if keep else part for part in scores)
            return self._replaced(predictions, (items, best)), None
        shared = measure and not several and _item_metrics.share_one_ranking(tasks[0], model)
        if isinstance(scores, RankedScores):
            best, items = scores.best
        else:
            needed = _item_metrics.largest_top_k(tasks[0]) if shared else 0
            best, items = best_items(scores, max(keep, needed))
        if shared:
            values = _item_metrics.update(tasks[0], scores, labels, Ranking.of_targets(items, labels))
        else:
            values = model.calculate_metrics(predictions, labels) if measure else None
        if not keep:
            return predictions, values
        return self._replaced(
            predictions, (items[:, :keep].contiguous(), best[:, :keep].contiguous())
        ), values

    @staticmethod
    def _replaced(predictions: Any, answers: tuple[Tensor, Tensor]) -> Any:
        return {**predictions, "next-item": answers} if isinstance(predictions, dict) else answers

    @property
    def log_predictions_callback(self) -> Callable[..., Any] | None:
        """Called with labels, items, scores and metrics of each batch, if ``args.log_predictions``."""
        return self._log_predictions_callback

    @log_predictions_callback.setter
    def log_predictions_callback(self, var: Callable[..., Any]) -> None:
        self._log_predictions_callback = var

    def _maybe_log_predictions(
        self,
        labels: Any,
        pred_item_ids: Tensor,
        pred_item_scores: Tensor,
        metrics: Any,
        metric_key_prefix: str,
    ) -> None:
        if not self.args.log_predictions or self.log_predictions_callback is None:
            return
        self.log_predictions_callback(
            labels=None if labels is None else labels.cpu().numpy(),
            pred_item_ids=pred_item_ids.cpu().numpy(),
            pred_item_scores=pred_item_scores.float().cpu().numpy(),
            metrics=metrics,
            dataset_type=metric_key_prefix,
        )

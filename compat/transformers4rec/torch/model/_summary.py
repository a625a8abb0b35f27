"""A sequence as one vector."""

from __future__ import annotations

import torch


class SequenceSummary(torch.nn.Module):
    """One vector of each sequence.

    Args:
        summary_type: "last", "first" or "mean" of the positions, "cls_index" for the last too; None to leave
            the sequence as it is.

    Raises:
        NotImplementedError: for "attn", which 23.12.0 names but does not have.
        ValueError: for anything else.
    """

    def __init__(self, summary_type: str | None) -> None:
        super().__init__()
        if summary_type == "attn":
            raise NotImplementedError("summary_type 'attn' never was there: write 'last', 'first' or 'mean'")
        if summary_type not in ("last", "first", "mean", "cls_index", None):
            raise ValueError(f"summary_type is {summary_type!r}: write 'last', 'first' or 'mean'")
        self.summary_type = summary_type

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """(B, D) of (B, T, D); padding counts as any other position, as in 23.12.0."""
        if self.summary_type in ("last", "cls_index"):
            return hidden_states[:, -1]
        if self.summary_type == "first":
            return hidden_states[:, 0]
        return hidden_states.mean(dim=1) if self.summary_type else hidden_states

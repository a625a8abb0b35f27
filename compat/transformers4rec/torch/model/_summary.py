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
        # Places for modules of one's own, as Hugging Face's class has them.
        self.summary = torch.nn.Identity()
        self.activation = torch.nn.Identity()
        self.first_dropout = torch.nn.Identity()
        self.last_dropout = torch.nn.Identity()

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """(B, D) of (B, T, D); padding counts as any other position, as in 23.12.0."""
        if self.summary_type is None:
            return hidden_states
        if self.summary_type in ("last", "cls_index"):
            vector = hidden_states[:, -1]
        elif self.summary_type == "first":
            vector = hidden_states[:, 0]
        else:
            vector = hidden_states.mean(dim=1)
        return self.last_dropout(self.activation(self.summary(self.first_dropout(vector))))

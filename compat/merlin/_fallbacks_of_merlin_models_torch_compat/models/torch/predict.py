"""``merlin.models.torch.predict``: a module's answers for the rows of a data set, as a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from merlin.models._legacy import legacy, served
from merlin.models.torch.batch import Batch
from merlin.models.torch.block import BatchBlock, Block
from merlin.models.torch.container import step
from merlin.models.torch.schema import select
from merlin.schema import ColumnSchema, Schema
from merlin.table import TensorTable
from torch import Tensor, nn

if TYPE_CHECKING:
    import pandas as pd

OUT_KEY = "output"


@legacy
class EncoderBlock(Block):
    """Modules that encode the rows of a data set.

    Args:
        *module: the modules.
        pre: makes the batch.
        name: shown when the block is printed.

    Raises:
        ValueError: if ``pre`` is no :class:`BatchBlock`.
    """

    def __init__(self, *module: nn.Module, pre: BatchBlock | None = None, name: str | None = None) -> None:
        super().__init__(*module, name=name)
        if pre is not None and not isinstance(pre, BatchBlock):
            raise ValueError(f"pre is a {type(pre).__name__}, expected a BatchBlock")
        self.pre = BatchBlock() if pre is None else pre

    def forward(self, inputs: Any, batch: Batch | None = None) -> Any:
        """Runs the modules in order."""
        whole = self.pre(inputs, batch=batch)
        outputs = whole.inputs()
        for module in self.values:
            outputs = step(module, outputs, whole)
        return outputs

    def encode(
        self,
        data: Any,
        selection: Any = None,
        batch_size: int | None = None,
        index: Any = None,
        unique: bool = True,
    ) -> Any:
        """The encoded rows: see :class:`DaskEncoder`."""
        encoder = DaskEncoder(self, selection=selection)
        return encoder(data, batch_size=batch_size, index=index, unique=unique)

    def predict(
        self,
        data: Any,
        selection: Any = None,
        batch_size: int | None = None,
        index: Any = None,
        prediction_suffix: str = "_prediction",
        unique: bool = True,
    ) -> Any:
        """The rows with predictions: see :class:`DaskPredictor`."""
        predictor = DaskPredictor(self, prediction_suffix=prediction_suffix, selection=selection)
        return predictor(data, batch_size=batch_size, index=index, unique=unique)


@legacy
class DaskEncoder:
    """What a module gives for rows. 23.12 went by Dask; here the rows are read as one frame.

    Args:
        module: takes columns by name.
        selection: the columns that it takes; all if not given.
    """

    def __init__(self, module: nn.Module, selection: Any = None) -> None:
        self.module, self.selection = module, selection

    def __call__(
        self, data: Any, batch_size: int | None = None, index: Any = None, unique: bool = True
    ) -> Any:
        """A data set for a data set or loader; a data frame for a data frame or tensors.

        Args:
            data: the rows.
            batch_size: rows at a time; a data set needs it.
            index: columns that become the index of the answer.
            unique: whether only the first row of each index counts.

        Raises:
            ValueError: if the data is something else.
        """
        if hasattr(data, "to_ddf") or hasattr(data, "peek"):
            return self.encode_dataset(data, batch_size, index=index, unique=unique)
        if hasattr(data, "columns") and hasattr(data, "iloc"):
            return self.encode_df(data, batch_size)
        if isinstance(data, (dict, Tensor)):
            return self.encode_tensors(data)
        raise ValueError(f"data is a {type(data).__name__}, expected a data set, loader, frame or tensors")

    def encode_dataset(
        self, data: Any, batch_size: int | None = None, index: Any = None, unique: bool = True
    ) -> Any:
        """A data set of what the module gives.

        Raises:
            ValueError: for a data set without ``batch_size``.
        """
        from merlin.io import Dataset

        dataset, schema = data, getattr(data, "schema", None)
        if not hasattr(data, "to_ddf"):
            dataset, schema, batch_size = data.dataset, data.input_schema, data.batch_size
        if not batch_size:
            raise ValueError("the rows of a data set are encoded some at a time: give batch_size")
        frame = dataset.to_ddf().compute()
        if self.selection:
            schema = select(schema, self.selection)
            frame = frame[schema.column_names]
        beside = select(schema, index) if index else None
        if beside is not None and unique:
            frame = frame.drop_duplicates(beside.column_names, keep="first")
        output = self.encode_df(frame, batch_size, schema, beside)
        known = self.encoded_schema(frame.head(), schema, beside)
        if beside is not None:
            # Dask sorts by an index of one column.
            names = beside.column_names
            output = (
                output.set_index(names[0]).sort_index(kind="stable")
                if len(names) == 1
                else output.set_index(names)
            )
            known = known.excluding_by_name(beside.column_names)
        return Dataset(output, schema=known)

    def encoded_schema(self, sample_df: pd.DataFrame, input_schema: Any, passthrough_schema: Any) -> Any:
        """The columns of the answer for some rows, in their order."""
        found = self._module_schema(sample_df, input_schema)
        known = {column.name: column for column in [*(passthrough_schema or ()), *found]}
        made = self.encode_df(sample_df, 2, input_schema, passthrough_schema)
        return Schema([known[name] for name in made.columns])

    def _module_schema(self, sample_df: pd.DataFrame, input_schema: Any) -> Any:
        own = getattr(self.module, "output_schema", None)
        if own is not None:
            return own() if callable(own) else own
        table = to_tensor_table(self._answer(next(iter(_batches(sample_df, input_schema, 2)))[0]))
        return Schema([ColumnSchema(name, dtype=table[name].dtype) for name in table.columns])

    def encode_df(
        self,
        df: pd.DataFrame,
        batch_size: int | None = None,
        input_schema: Any = None,
        passthrough_schema: Any = None,
    ) -> pd.DataFrame:
        """A data frame of what the module gives for the rows of one."""
        import pandas as pd

        parts = [
            self.encode_tensors(inputs, targets, passthrough_schema=passthrough_schema)
            for inputs, targets in _batches(df, input_schema, batch_size or len(df))
        ]
        return pd.concat(parts)

    def encode_tensors(
        self, inputs: Any, targets: Any = None, passthrough_schema: Any = None
    ) -> pd.DataFrame:
        """A data frame of what the module gives for tensors; the columns of a schema stand beside it."""
        import pandas as pd

        output = to_tensor_table(self._answer(inputs)).to_df()
        if passthrough_schema and isinstance(inputs, dict):
            beside = {name: inputs[name] for name in passthrough_schema.column_names}
            output = pd.concat([to_tensor_table(beside).to_df(), output], axis=1)
        return output

    def _answer(self, inputs: Any) -> Any:
        with torch.no_grad():
            return self.module(inputs)

    def reduce(self, left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
        """Rows of one after those of another."""
        import pandas as pd

        return pd.concat([left, right])


@legacy
class DaskPredictor(DaskEncoder):
    """The rows, and what a module gives for them beside them.

    Args:
        module: takes columns by name.
        selection: the columns that it takes; all if not given.
        prediction_suffix: of a prediction that has the name of a column.
    """

    def __init__(
        self, module: nn.Module, selection: Any = None, prediction_suffix: str = "_prediction"
    ) -> None:
        super().__init__(module, selection)
        self.prediction_suffix = prediction_suffix

    def encode_tensors(self, inputs: Any, targets: Any = None, **kwargs: Any) -> pd.DataFrame:
        """A data frame of inputs, targets and predictions."""
        output = to_tensor_table(inputs, "input").to_df()
        if targets is not None:
            output = safe_concat_columns(output, to_tensor_table(targets, "target").to_df(), "_target")
        answer = to_tensor_table(self._answer(inputs)).to_df()
        return safe_concat_columns(output, answer, self.prediction_suffix)

    def encoded_schema(self, sample_df: pd.DataFrame, input_schema: Any, passthrough_schema: Any) -> Any:
        """The columns of the answer for some rows, in their order."""
        known = {column.name: column for column in input_schema}
        for column in self._module_schema(sample_df, input_schema):
            name = column.name + (self.prediction_suffix if column.name in known else "")
            known[name] = column.with_name(name)
        made = self.encode_df(sample_df, 2, input_schema, passthrough_schema)
        return Schema(
            [known.get(name) or ColumnSchema(name, dtype=made[name].dtype) for name in made.columns]
        )


def _batches(frame: Any, schema: Any, batch_size: int) -> Iterator[Any]:
    from merlin.dataloader.torch import Loader
    from merlin.io import Dataset

    frame = frame.reset_index(drop=True)
    return iter(Loader(Dataset(frame, schema=schema), batch_size=batch_size))


@legacy
def to_tensor_table(data: Tensor | Mapping[str, Tensor], default_key: str = OUT_KEY) -> Any:
    """Tensors by name as a table; a single one under a name of its own."""
    return TensorTable(dict(data) if isinstance(data, Mapping) else {default_key: data})


@legacy
def safe_concat_columns(left: pd.DataFrame, right: pd.DataFrame, rename_suffix: str = "_") -> pd.DataFrame:
    """Columns of two frames side by side; those of the second that the first has too get a suffix."""
    import pandas as pd

    twice = {name: f"{name}{rename_suffix}" for name in right.columns if name in left.columns}
    return pd.concat([left, right.rename(columns=twice)], axis=1)


__getattr__ = served(__name__)

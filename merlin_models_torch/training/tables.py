"""How a model answers for whole tables: ids and scores, candidates in order, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from merlin_models_torch.schema import Selection

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

    from merlin_models_torch.data import ParquetLoader
    from merlin_models_torch.data.coding import RawIds
    from merlin_models_torch.retrieval.answers import IndexFactory
    from merlin_models_torch.retrieval.candidates import Candidates
    from merlin_models_torch.retrieval.pairs import ScoreChoice
    from merlin_models_torch.selection import ModelPart
    from merlin_models_torch.training.model import Model


class TableAnswers:
    """The methods of :class:`Model` that read tables and files; what they do is in ``retrieval``."""

    @property
    def _model(self) -> Model:
        return cast("Model", self)

    def coded(self, data: Any) -> pa.Table:
        """Rows with original ids as what the model reads: codes, by the vocabularies that it holds.

        The way to answers for data that the preparation which made the vocabularies has not written:
        ``model.predict(model.coded(rows), k=10)``; the answers carry original ids again.

        Args:
            data: parquet path (or folder, glob, list of them), Arrow table, pandas or polars frame, or a dict
                of columns. Columns without a vocabulary stay as they are.

        Returns:
            All rows and columns in memory; :meth:`raw_ids` is for data of any size. Ids that a vocabulary
            does not have get its code for unknown ones, missing ones 0.

        Raises:
            DataError: if there is no data, or ids cannot be compared with those of their vocabulary.

        Example:
            >>> rows = {"item_id": [["item-01", "no item"]]}
            >>> codes = model.coded(rows)["item_id"].to_pylist()
            >>> model.item_vocabulary.decode(codes[0]).to_pylist()
            ['item-01', None]
        """
        import pyarrow as pa

        from merlin_models_torch.data.source import open_source

        source = open_source(self.raw_ids(data))
        names = next(iter(source.schemas()))[1].names
        return pa.concat_tables([source.read(part, names) for part in source.parts])

    def raw_ids(self, data: Any) -> RawIds:
        """Rows with original ids, which become codes while they are read: for data of any size.

        What is given back takes the place of data wherever rows are read: in the methods of a model (also as
        ``candidates``, ``exclude``, ``seen`` or ``items``), in :class:`ParquetLoader` and in
        :func:`report`. Files are read one row group at a time where they are streamed. ``data`` and
        ``candidates`` may be one of them with original ids and the other with codes.

        Args:
            data: as for :meth:`coded`.

        Returns:
            The data and the model's vocabularies; nothing is read yet. Ids that a vocabulary does not have
            get its code for unknown ones, missing ones 0. Keys of the answers are what the data has, ids
            that are unknown among them.

        Example:
            >>> rows = {"item_id": [["item-01", "item-02"]]}
            >>> model.predict(model.raw_ids(rows), k=3).equals(model.predict(model.coded(rows), k=3))
            True
        """
        from merlin_models_torch.data.coding import Coding, RawIds
        from merlin_models_torch.training.evaluation import evaluation_schema

        return RawIds(data, Coding.of(evaluation_schema(self._model), self._model.vocabularies))

    def predict(
        self,
        data: Any,
        *,
        k: int | None = None,
        candidates: Any = None,
        exclude: Any = None,
        exclude_seen: bool | None = None,
        seen: Any = None,
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
        index: IndexFactory | None = None,
    ) -> pa.Table:
        """Answers for every row of some data: items with their original ids, or scores.

        A model of two towers answers with the best of all candidates where ``k`` is given, and else with the
        score of each row's pair. For the former the rows are queries and need no columns of items.

        Args:
            data: loader, parquet path (or folder, glob, list of them), Arrow table, pandas or polars frame,
                or a dict of columns. Ids are codes, as in training: rows of the catalogue for items.
                Data with original ids is given as ``model.raw_ids(data)``.
            k: answers for each session or query, where the output answers with items.
            candidates: the allow list, items that may be answers; all if not given. Item rows, or a table
                with the column of items. For two towers a table of items, or of events, with the columns of
                the candidate tower; or what :meth:`encode_candidates` made of one. Item rows do, and it may
                be left out, where that tower reads the item id alone.
            exclude: the deny list, items that are no answers to any row; item rows, or a table with the
                column of items.
            exclude_seen: leave out items of the session; the output's choice if not given. For two towers
                those in ``seen``, which are left out where it is given.
            seen: what each row has met besides: a table with a key of ``data`` and the item id (one event, or
                a list of items, in each row), such as the training data.
            keys: columns of the data that tell its rows apart; those tagged as user or session id if not
                given.
            batch_size: sessions at a time; not used for a loader.
            index: makes what is searched of the items' vectors; the exact :class:`retrieval.ItemIndex` if not
                given.

        Returns:
            One row a session, in the order of the data: the keys (or ``row``, the row's number, where there
            are none; those that the model reads by a vocabulary in their original form), a list column with
            the item id's name and the k ids in falling order of score, and a list column ``score``; null and
            -inf where fewer than k items are left unseen. For other outputs, the keys and a column
            ``<target>_score`` for each; the labels need not be in the data.

        Raises:
            ValueError: if k is not given for items, or larger than the number of items that can be answers,
                before anything is computed; if it is given where there are no items.
        """
        from merlin_models_torch.retrieval.predict import predict

        return predict(
            self._model,
            data,
            k=k,
            candidates=candidates,
            exclude=exclude,
            exclude_seen=exclude_seen,
            seen=seen,
            keys=keys,
            batch_size=batch_size,
            index=index,
        )

    def predict_to_parquet(
        self,
        data: Any,
        folder: str | Path,
        *,
        k: int | None = None,
        candidates: Any = None,
        exclude: Any = None,
        exclude_seen: bool | None = None,
        seen: Any = None,
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
        index: IndexFactory | None = None,
        overwrite: bool = False,
        progress: bool | None = None,
        part: tuple[int, int] | None = None,
    ) -> Path:
        """Answers as :meth:`predict` gives them, written to a parquet file for each file of the data.

        The data is read row group by row group and answers are written as they come, so that memory does not
        grow with the number of rows. A file has its name when it is whole; called again after it was
        stopped, this goes on with the files that are missing.

        Several processes share the rows out, and each writes the file of its part
        (``part-00001-of-00004.parquet``); by name one after the other they are in the order of the data.

        Args:
            data: as for :meth:`predict`; the shuffling of a loader is left out.
            folder: made if it is not there. Files are named as those of the data, ``answers.parquet`` for a
                table in memory.
            k: as for :meth:`predict`, as are all up to ``index``.
            candidates: see there.
            exclude: see there.
            exclude_seen: see there.
            seen: see there.
            keys: see there.
            batch_size: see there.
            index: see there.
            overwrite: write files anew that are there already.
            progress: show a bar; if not given, only on a terminal.
            part: which part of the rows to answer, from 0, and of how many, for programs that share the
                work out themselves; that of the process if not given.

        Returns:
            The folder.

        Raises:
            FileExistsError: if the folder holds answers of another model, to other data, or to another
                question, and they are not to be overwritten.
            ValueError: as for :meth:`predict`.
        """
        from merlin_models_torch.retrieval.predict import predict_to_parquet

        return predict_to_parquet(
            self._model,
            data,
            folder,
            k=k,
            candidates=candidates,
            exclude=exclude,
            exclude_seen=exclude_seen,
            seen=seen,
            keys=keys,
            batch_size=batch_size,
            index=index,
            overwrite=overwrite,
            progress=progress,
            part=part,
        )

    def rerank(
        self,
        data: Any,
        candidates: Any,
        *,
        k: int | None = None,
        items: Any = None,
        score: ScoreChoice | None = None,
        coded: bool = False,
        unknown: Literal["error", "drop"] = "error",
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
    ) -> pa.Table:
        """Given candidates of each row in the order of this model's scores, the stage after retrieval.

        A model of sessions or of two towers compares vectors, as for :meth:`predict`. A ranking model (DLRM,
        DCN, DeepFM, several targets) scores each candidate as it would a row of the columns of both, the
        row's and the item's.

        Args:
            data: as for :meth:`predict`; of a ranking model's columns those of the row alone.
            candidates: for each row a list of ids: the name of a list column of ``data``; a table or parquet
                path with lists in a column of the item id's name, such as what :meth:`predict` of another
                model gave for the same data, row by row; or the lists themselves. Or one list of ids for all
                rows. Nulls are no candidates, and an id that is there twice counts once; a row may have none.
            k: answers of each row; all candidates if not given.
            items: for a ranking model that reads more of an item than its id, a table of items (or of events,
                where the first row of an item counts) with these columns; for two towers as for
                :meth:`encode_candidates`. Coded as in training.
            score: for a model of several targets the one to rank by ("next_item" for the items of a
                session), or weights of several, by which their scores (probabilities, or numbers) are added
                up.
            coded: the candidates are rows of the catalogue, as the data holds items (0 is padding and no
                candidate), and not the original ids that :meth:`predict` gives.
            unknown: what to do with a candidate that the model has no score for: "error", or "drop" it.
            keys: as for :meth:`predict`.
            batch_size: rows at a time; not used for a loader.

        Returns:
            One row for each row, in the order of the data: the keys as for :meth:`predict`, a list column of
            the item id's name with the original ids in falling order of score, equal ones by item row, and a
            list column ``score``. Lists may be shorter than k, or empty.

        Raises:
            ValueError: if the candidates are not lists, not as many as the rows, of other keys, or unknown;
                or arguments do not fit the model.
            TypeError: if the model's output gives no score of an item.

        Example:
            >>> retriever = mm.MatrixFactorizationModel(click_schema, dim=8)
            >>> ranker = mm.DCNModel(click_schema, embedding_dim=8)
            >>> users = {"user_id": [1, 2], "age": [0.3, 0.5]}
            >>> found = retriever.predict(users, k=5)
            >>> best = ranker.rerank(users, found, k=3, items=clicks)  # clicks has each item's price
            >>> {*best["item_id"][0].as_py()} < {*found["item_id"][0].as_py()}
            True
        """
        from merlin_models_torch.retrieval.reranking import rerank

        return rerank(
            self._model,
            data,
            candidates,
            k=k,
            items=items,
            score=score,
            coded=coded,
            unknown=unknown,
            keys=keys,
            batch_size=batch_size,
        )

    def rerank_to_parquet(
        self,
        data: Any,
        folder: str | Path,
        candidates: Any,
        *,
        k: int | None = None,
        items: Any = None,
        score: ScoreChoice | None = None,
        coded: bool = False,
        unknown: Literal["error", "drop"] = "error",
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
        overwrite: bool = False,
        progress: bool | None = None,
        part: tuple[int, int] | None = None,
    ) -> Path:
        """Candidates ordered as by :meth:`rerank`, written as by :meth:`predict_to_parquet`.

        Data and candidates are read row group by row group, so that memory does not grow with the rows.

        Args:
            data: as for :meth:`predict_to_parquet`.
            folder: see there.
            candidates: as for :meth:`rerank`, as are all up to ``batch_size``.
            k: see there.
            items: see there.
            score: see there.
            coded: see there.
            unknown: see there.
            keys: see there.
            batch_size: see there.
            overwrite: as for :meth:`predict_to_parquet`.
            progress: see there.
            part: see there.

        Returns:
            The folder.

        Raises:
            FileExistsError: as for :meth:`predict_to_parquet`.
            ValueError: as for :meth:`rerank`.
            TypeError: as for :meth:`rerank`.
        """
        from merlin_models_torch.retrieval.reranking import rerank_to_parquet

        return rerank_to_parquet(
            self._model,
            data,
            folder,
            candidates,
            k=k,
            items=items,
            score=score,
            coded=coded,
            unknown=unknown,
            keys=keys,
            batch_size=batch_size,
            overwrite=overwrite,
            progress=progress,
            part=part,
        )

    def encode_items(self, items: Any = None, *, batch_size: int = 4096) -> pa.Table:
        """The vector of each item, as answers are found by.

        Args:
            items: for two towers, the items as for :meth:`encode_candidates`.
            batch_size: items at a time.

        Returns:
            The item ids, original where there is a vocabulary, in a column of their name, and ``vector``, a
            list of D floats. Padding and unknown items are left out. Of a model whose output names no items,
            the embeddings of its item column.

        Raises:
            ValueError: if items are given to a model that has a catalogue of its own.
        """
        from merlin_models_torch.retrieval.encode import encode_items

        return encode_items(self._model, items, batch_size=batch_size)

    def encode_sessions(
        self, data: Any, *, keys: Sequence[str] | None = None, batch_size: int = 512
    ) -> pa.Table:
        """The vector of each session, or query of two towers, that is compared with those of items.

        Args:
            data: as for :meth:`predict`.
            keys: as for :meth:`predict`.
            batch_size: rows at a time; not used for a loader.

        Returns:
            The keys, and ``vector``, a list of D floats. Its dot product with an item's vector of
            :meth:`encode_items` is the item's score, up to bias and temperature.

        Raises:
            TypeError: if the output compares no vectors.
        """
        from merlin_models_torch.retrieval.encode import encode_sessions

        return encode_sessions(self._model, data, keys=keys, batch_size=batch_size)

    def encode(
        self,
        selection: Selection | ModelPart,
        data: Any = None,
        *,
        keys: Sequence[str] | None = None,
        batch_size: int = 512,
    ) -> pa.Table:
        """What a part of the model makes of rows.

        Args:
            selection: columns as for :meth:`select`, such as ``Tags.USER`` for the user's tower or ``"*"``
                for all before the output; or a part that :meth:`select` or :meth:`extract` gave.
            data: rows with the columns of the part, as for :meth:`predict`. If not given, the selection has
                to be one column with an embedding table, or that table.
            keys: as for :meth:`predict`; ids among the columns count too.
            batch_size: rows at a time; not used for a loader.

        Returns:
            The keys, and a column ``vector`` with a list of D floats, or a list of such for the positions of
            a sequence; columns of their names where the part gives several. Without data, the ids and vectors
            of the table.

        Raises:
            ValueError: if data is needed and not given.
            TypeError: if what is given is no part that takes batches.
        """
        from merlin_models_torch.retrieval.encode import encode

        return encode(self._model, selection, data, keys=keys, batch_size=batch_size)

    def encode_candidates(
        self,
        items: ParquetLoader | pa.Table | str | Path | Sequence[int] | Tensor | None = None,
        *,
        batch_size: int = 4096,
    ) -> Candidates:
        """Items for :meth:`predict`, encoded once: see :func:`retrieval.candidates.encode_candidates`."""
        from merlin_models_torch.retrieval.candidates import encode_candidates

        return encode_candidates(self._model, items, batch_size=batch_size)

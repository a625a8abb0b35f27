"""MovieLens-1M: matrix factorisation, two towers and YouTube's network against the most popular films.

Protocol: the last film of each user is the test target, the one before it the validation target; all films
are ranked, those of the user's history left out; HR@10 and NDCG@10 are means over all users. The number of
epochs is that of the best NDCG@10 on validation; nothing else was searched for. Data: F. M. Harper and J. A.
Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

import merlin_models_torch as mm
from merlin_models_torch.examples.comparison import (
    fit_best,
    mean_and_spread,
    quiet,
    show_results,
    write_results,
)
from merlin_models_torch.examples.history import say
from merlin_models_torch.examples.retrieval_data import Films, Question, read_films


@dataclass(frozen=True)
class System:
    """A model with the way it is trained and asked.

    Args:
        build: makes it.
        loader: its training rows, of a number of latest films of each user.
        answers: ten films for each user of a question.
    """

    build: Callable[[Films], mm.Model]
    loader: Callable[[Films, int], mm.ParquetLoader]
    answers: Callable[[mm.Model, Films, Question], pa.Table]


def matrix_factorization(films: Films) -> mm.Model:
    """A vector for each user and film."""
    return mm.MatrixFactorizationModel(
        films.schema, dim=64, optimizer=mm.OptimizerConfig(lr=3e-3), vocabularies=films.vocabularies
    )


def two_towers(films: Films) -> mm.Model:
    """Towers over the user's id, gender, age and occupation, and the film's id, genres and year."""
    return mm.TwoTowerModel(
        films.schema,
        embedding_dim=64,
        units=[128, 64],
        optimizer=mm.OptimizerConfig(lr=2e-3),
        vocabularies=films.vocabularies,
    )


def youtube_dnn(films: Films) -> mm.Model:
    """The mean of the latest films and the columns of the user through an MLP."""
    return mm.YoutubeDNNRetrievalModel(
        films.sessions(),
        embedding_dim=64,
        top_block=[128, 64],
        num_sampled=512,
        exclude_seen=True,
        optimizer=mm.OptimizerConfig(lr=3e-3),
        vocabularies=films.vocabularies,
    )


def pair_loader(films: Films, latest: int) -> mm.ParquetLoader:
    """A row for each user and film watched."""
    return mm.ParquetLoader(films.pairs(latest), films.schema, batch_size=1024, shuffle=True)


def session_loader(films: Films, latest: int) -> mm.ParquetLoader:
    """A row for each user, whose latest films are examples all at once."""
    # One film more, since the first only begins the session.
    return mm.ParquetLoader(
        films.train, films.sessions(), batch_size=16, shuffle=True, max_sequence_length=latest + 1
    )


def ask_towers(model: mm.Model, films: Films, question: Question) -> pa.Table:
    """Users are queries, all films candidates; what a user has watched is a list in the question."""
    return model.predict(question.users, k=10, candidates=films.items, seen=question.users, keys=["user_id"])


def ask_sessions(model: mm.Model, films: Films, question: Question) -> pa.Table:
    """The session is the question."""
    return model.predict(question.users, k=10, exclude_seen=True, keys=["user_id"])


SYSTEMS = {
    "MatrixFactorizationModel": System(matrix_factorization, pair_loader, ask_towers),
    "TwoTowerModel": System(two_towers, pair_loader, ask_towers),
    "YoutubeDNNRetrievalModel": System(youtube_dnn, session_loader, ask_sessions),
}


def measures(answers: pa.Table, question: Question) -> dict[str, float]:
    """HR@10 and NDCG@10 of ten original ids for each user."""
    ids = np.stack(answers["item_id"].to_pylist())
    hits = ids == question.targets[:, None]
    gains = hits / np.log2(np.arange(2, ids.shape[1] + 2))
    return {"HR@10": float(hits.any(1).mean()), "NDCG@10": float(gains.sum(1).mean())}


def popular(films: Films, counts: NDArray[np.int64], question: Question) -> pa.Table:
    """The ten films that were watched most and that the user has not watched."""
    item = films.vocabularies["item_id"]
    _, rows = mm.retrieval.topk_blockwise(
        torch.ones(len(question.targets), 1, dtype=torch.float64),
        torch.from_numpy(counts)[:, None].double(),
        k=10,
        exclude=[torch.tensor(row) for row in question.users["item_id"].to_pylist()],
        never=range(item.first),
    )
    # Row -1 stands where the user has watched all but fewer than ten films; 0 has no film either.
    ids = item.decode(rows.flatten().clamp(min=0).numpy())
    return pa.table({"item_id": pa.FixedSizeListArray.from_arrays(ids, 10)})


def compare(films: Films, names: Sequence[str], *, latest: int, seeds: int, epochs: int) -> dict[str, Any]:
    """Trains the seeds of each model, and measures them on the test.

    Returns:
        Epochs and validation figures by model, and mean and spread of the test figures.
    """
    recent = np.bincount(films.pairs(latest)["item_id"].to_numpy(), minlength=len(films.counts))
    results: dict[str, Any] = {}
    for name, counts in (("most popular", films.counts), (f"most popular of the latest {latest}", recent)):
        results[name] = {"test": mean_and_spread([measures(popular(films, counts, films.test), films.test)])}
    for name in names:
        started, system = time.monotonic(), SYSTEMS[name]

        def validated(model: mm.Model, system: System = system) -> float:
            return measures(system.answers(model, films, films.valid), films.valid)["NDCG@10"]

        runs = [
            fit_best(
                functools.partial(system.build, films),
                system.loader(films, latest),
                validated,
                seed=seed,
                epochs=epochs,
            )
            for seed in range(seeds)
        ]
        results[name] = {
            "epochs": [run[2] for run in runs],
            "validation": [run[1] for run in runs],
            "test": mean_and_spread(
                [measures(system.answers(run[0], films, films.test), films.test) for run in runs]
            ),
        }
        told = "  ".join(f"{key} {value['mean']:.4f}" for key, value in results[name]["test"].items())
        say(f"{name:26s}{told}  {results[name]['epochs']} epochs  {time.monotonic() - started:.0f} s")
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-1m.txt.gz, users.dat, ...")
    parser.add_argument("--out", type=Path, default=Path("runs/retrieval"))
    parser.add_argument("--models", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--latest", type=int, default=50, help="films of each user that are learned from")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10, help="at most; fewer by validation")
    options = parser.parse_args(arguments)
    if not (options.data / "movies.dat").is_file():
        parser.error(f"{options.data} holds no movies.dat: give the folder of MovieLens-1M with --data")
    quiet()
    results = compare(
        read_films(options.data, options.out / "data"),
        options.models,
        latest=options.latest,
        seeds=options.seeds,
        epochs=options.epochs,
    )
    show_results({name: result["test"] for name, result in results.items()})
    write_results(options.out / "results.json", results)


if __name__ == "__main__":
    main()

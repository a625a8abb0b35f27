"""MovieLens-1M, leave-one-out: prepares, trains, evaluates, and shows what is recommended.

Protocol: the last item of each user is the test target, the one before it the validation target; all items
are ranked, those of the user's history left out; HR@10 and NDCG@10 are means over all users. Data: F. M.
Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
import pyarrow as pa

import merlin_models_torch as mm
from merlin_models_torch.examples.baseline import popularity_metrics
from merlin_models_torch.examples.fitting import fit, show_table
from merlin_models_torch.examples.history import say

# HR@10 and NDCG@10 as published for this split and protocol.
PUBLISHED = {
    "SASRec (binary loss)": (0.2500, 0.1341),
    "BERT4Rec": (0.2843, 0.1537),
    "gSASRec": (0.3003, 0.1726),
    "SASRec with full softmax": (0.3152, 0.1821),
    "SASRec with 3,000 negatives": (0.3159, 0.1857),
}


def read_events(path: Path) -> pa.Table:
    """The ``user item`` lines of ml-1m.txt(.gz), in order of time, as an Arrow table."""
    from pyarrow import csv

    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=["user_id", "item_id"]),
        parse_options=csv.ParseOptions(delimiter=" "),
    )


def read_titles(path: Path) -> dict[int, str]:
    """Film titles by the item ids of ml-1m.txt, where movies.dat and the map of ids lie beside it."""
    movies, mapping = path.with_name("movies.dat"), path.with_name("sas_to_original_items.txt")
    if not movies.is_file() or not mapping.is_file():
        return {}
    lines = movies.read_text(encoding="latin-1").splitlines()
    titles = {int(line.split("::")[0]): line.split("::")[1] for line in lines}
    pairs = (line.split() for line in mapping.read_text().splitlines())
    return {int(new): titles[int(old)] for new, old in pairs if int(old) in titles}


def build_model(files: mm.data.SessionFiles, *, dim: int, steps: int, lr: float) -> mm.Model:
    """SASRec (Kang and McAuley 2018) with a softmax over the whole catalogue."""
    inputs = mm.TabularInputBlock(
        files.schema,
        embedding_dim=dim,
        masking=mm.CausalMasking(),
        max_sequence_length=200,
    )
    body = mm.TransformerBlock(dim, heads=2, layers=2, dropout=0.2, max_length=200)
    output = mm.CategoricalOutput(
        weight_tying=True, exclude_seen=True, metrics=("hit_rate", "ndcg"), top_ks=(5, 10, 20)
    )
    optimizer = mm.OptimizerConfig(lr=lr, betas=(0.9, 0.98), schedule="cosine", warmup_steps=steps // 50)
    return mm.Model(inputs, body, output, optimizer=optimizer, vocabularies=files.vocabularies)


def show_users(model: mm.Model, test: Path, titles: dict[int, str], *, users: int = 3) -> None:
    """The last films of some users, and what the model recommends after them."""
    import pyarrow.parquet as pq

    vocabulary = model.item_vocabulary
    sessions = pq.read_table(test).slice(0, users)
    answers = model.predict(sessions, k=5)
    for row in range(users):
        codes = sessions["item_id"][row].values
        last = [] if vocabulary is None else vocabulary.decode(codes.to_numpy()[-5:]).to_pylist()
        say(f"\nuser {answers['user_id'][row]}")
        say(f"  last films:  {'; '.join(titles[item] for item in last)}")
        say(f"  recommended: {'; '.join(titles[item] for item in answers['item_id'][row].as_py())}")


def run(
    data: Path, out: Path, *, epochs: int, minutes: float, dim: int, lr: float, batch_size: int
) -> mm.Model:
    """Everything, from the file to the figures."""
    lightning.seed_everything(0, verbose=False)
    files = mm.data.sessions_from_events(
        read_events(data), out / "data", user="user_id", item="item_id", min_length=3, overwrite=True
    )
    sessions = mm.SessionDataModule(files, batch_size=batch_size, evaluation_batch_size=128, bucket=16)
    steps = epochs * len(sessions.train_dataloader())
    model = build_model(files, dim=dim, steps=steps, lr=lr)
    trainer, _ = fit(
        model,
        sessions,
        folder=out / "checkpoints",
        epochs=epochs,
        metric="ndcg_at_10",
        minutes=minutes,
        validate_every=2,
        clip=5.0,
    )
    figures = trainer.test(model, datamodule=sessions, verbose=False)[0]
    baseline = popularity_metrics(files, metrics=("hit_rate", "ndcg"), top_ks=(10,), exclude_seen=True)
    show_table(
        ["HR@10", "NDCG@10"],
        [
            ("this run", (figures["test_hit_rate_at_10"], figures["test_ndcg_at_10"])),
            ("most popular items", (baseline["hit_rate_at_10"], baseline["ndcg_at_10"])),
            *((f"published: {name}", values) for name, values in PUBLISHED.items()),
        ],
        digits=4,
    )
    model.save(out / "model", overwrite=True)
    titles = read_titles(data)
    if titles:
        show_users(model, files.test[0], titles)
    say(f"\nmodel saved in {out / 'model'}")
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="ml-1m.txt.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/ml-1m"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=36, help="training stops after this long")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    options = parser.parse_args(arguments)
    if not options.data.is_file():
        parser.error(f"{options.data} is not a file: give the path of ml-1m.txt.gz with DATA=... or --data")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*(num_workers|checkpoint directory|`isinstance).*")
    run(
        options.data,
        options.out,
        epochs=options.epochs,
        minutes=options.minutes,
        dim=options.dim,
        lr=options.lr,
        batch_size=options.batch_size,
    )


if __name__ == "__main__":
    main()

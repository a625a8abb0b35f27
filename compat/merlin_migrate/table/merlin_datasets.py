"""Names of ``merlin.datasets``: generated rows, which the drop-in has, and real data, which it has not."""

from __future__ import annotations

from collections.abc import Iterator

from merlin_migrate.table.entry import Entry

_GUIDE = "from-merlin-models-torch.md#data-sets"
_GENERATED = (
    "It stays in compat. Sessions with a pattern to learn come from mm.data.generate_sessions, "
    "other rows are drawn with NumPy"
)
_PARTS = "Draw the columns with NumPy"
_EXAMPLES = "the programs merlin_models_torch.examples.ml_1m and ml_100k read files that you have"
_READ = "It downloads or asks for NVTabular: read your files with pyarrow and give ids with mm.Vocabulary"

# Package, module below it, its functions, and the generated data set of the same columns.
_REAL = (
    (
        "entertainment",
        "movielens",
        "get_movielens transform_movielens default_ml100k_transformation default_ml1m_transformation "
        "default_ml25m_transformation",
        "movielens-1m",
    ),
    (
        "ecommerce",
        "aliccp",
        "get_aliccp prepare_aliccp transform_aliccp default_aliccp_transformation",
        "aliccp",
    ),
    ("ecommerce", "booking", "get_booking transform_booking", "booking.com"),
    ("ecommerce", "dressipi", "get_dressipi2022", "dressipi2022-preprocessed"),
    ("advertising", "criteo", "get_criteo transform_criteo default_criteo_transform", "criteo"),
)
# Functions of the modules that their packages do not export.
_INNER = {
    "movielens": "download_movielens validate_variant df_lib",
    "booking": "default_booking_transformation download_booking preprocess_booking",
    "dressipi": "df_lib process_date_column process_item_features",
    "criteo": "maybe_download prepare_criteo",
}


def merlin_datasets() -> Iterator[Entry]:
    """The entries; all names of one data set share one."""
    home = "merlin.datasets.synthetic"
    for first, second, note in (
        ("generate_data", "generate_user_item_interactions", _GENERATED),
        ("generate_conditional_features", "generate_random_list_feature", _PARTS),
    ):
        yield Entry(f"{home}.{first}", "manual", "", _GUIDE, note, also=(f"{home}.{second}",))
    for package, module, names, known in _REAL:
        above = f"merlin.datasets.{package}"
        place = f"{above}.{module}"
        first, *others = names.split()
        inner = [*names.split(), *_INNER.get(module, "").split()]
        also = (place, f"{place}.dataset", *(f"{above}.{one}" for one in others))
        also += tuple(f"{place}.dataset.{one}" for one in inner)
        hint = f"{_READ}; " + (f"{_EXAMPLES}; " if module == "movielens" else "")
        note = f'{hint}generate_data("{known}", rows) has the same columns'
        yield Entry(f"{above}.{first}", "unsupported", "", _GUIDE, note, also=also)

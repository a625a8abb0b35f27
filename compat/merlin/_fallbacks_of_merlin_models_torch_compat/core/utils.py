"""``merlin.core.utils`` where merlin-core is not installed: downloads; Dask clusters are merlin-core's."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from urllib.request import urlopen

from merlin.core._absent import only

from merlin_models_torch.storage import whole_file

__getattr__ = only(__name__)


def download_file(
    url: str, local_filename: str | os.PathLike[str], unzip_files: bool = True, redownload: bool = True
) -> None:
    """Fetches a file of a data set, and unpacks it beside itself.

    Args:
        url: where it is, by http or https.
        local_filename: where it goes; missing folders are made.
        unzip_files: whether a ``.zip``, ``.tgz`` or ``.gz`` is unpacked, the archive kept.
        redownload: whether a file that is there already is fetched again.

    Raises:
        ValueError: for another scheme.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"url is {url!r}, it should start with http:// or https://: copy local files instead"
        )
    path = Path(local_filename).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if redownload or not path.exists():
        with urlopen(url) as source, whole_file(path) as part, part.open("wb") as target:
            shutil.copyfileobj(source, target)
    if unzip_files:
        _unpack(path)


def _unpack(path: Path) -> None:
    """Unpacks an archive beside itself; other files stay as they are."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path.parent)
    elif path.suffix == ".tgz":
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="data")
    elif path.suffix == ".gz":
        with gzip.open(path) as packed, whole_file(path.with_suffix("")) as part, part.open("wb") as plain:
            shutil.copyfileobj(packed, plain)

"""Files and folders that are whole or not there, and that say when they were changed."""

from merlin_models_torch.storage.folder import check_new, new_folder
from merlin_models_torch.storage.manifest import SavedFolderError, read_json, strict_json, verify
from merlin_models_torch.storage.parquet import parquet_writer
from merlin_models_torch.storage.writing import WriteError, whole_file, writing

__all__ = [
    "SavedFolderError",
    "WriteError",
    "check_new",
    "new_folder",
    "parquet_writer",
    "read_json",
    "strict_json",
    "verify",
    "whole_file",
    "writing",
]

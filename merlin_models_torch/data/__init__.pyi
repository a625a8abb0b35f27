from merlin_models_torch.data.errors import DataError
from merlin_models_torch.data.generate import generate_sessions
from merlin_models_torch.data.loader import ParquetLoader
from merlin_models_torch.data.merlin import from_merlin
from merlin_models_torch.data.module import SessionDataModule
from merlin_models_torch.data.session_files import SessionFiles
from merlin_models_torch.data.sessions import sessions_from_events
from merlin_models_torch.data.vocabulary import Vocabulary

__all__ = [
    "DataError",
    "ParquetLoader",
    "SessionDataModule",
    "SessionFiles",
    "Vocabulary",
    "from_merlin",
    "generate_sessions",
    "sessions_from_events",
]

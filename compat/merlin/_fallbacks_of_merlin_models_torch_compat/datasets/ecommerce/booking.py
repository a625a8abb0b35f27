"""``merlin.datasets.ecommerce.booking`` is not here: importing it says what to do."""

from merlin.core._absent import MissingName
from merlin_migrate.warnings import unsupported

raise MissingName(unsupported(__name__))

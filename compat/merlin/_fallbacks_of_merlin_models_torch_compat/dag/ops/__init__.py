"""``merlin.dag.ops`` is not here: importing it, or any module below it, says what to do instead."""

from merlin.core._absent import missing

raise missing(__name__)

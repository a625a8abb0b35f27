"""How single expressions of ``merlin.models`` are written in the new names."""

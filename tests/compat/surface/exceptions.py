"""What the surface lacks or has differently on purpose, each with its reason."""

UNSUPPORTED: dict[str, str] = {}

DIFFERENT: dict[str, str] = {}

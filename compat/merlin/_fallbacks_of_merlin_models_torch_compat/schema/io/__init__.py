"""``merlin.schema.io`` where merlin-core is not installed: schema files."""

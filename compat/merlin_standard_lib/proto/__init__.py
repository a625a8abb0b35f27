"""Parts of schemas, under their old module path."""

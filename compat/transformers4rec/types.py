"""Nothing, as in 23.12.0."""

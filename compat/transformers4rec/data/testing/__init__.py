"""Generated data sets to try things on."""

"""Pages about models: charts, tables and figures in one HTML file."""

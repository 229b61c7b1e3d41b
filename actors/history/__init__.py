"""The DuckDB side, a process of its own: the only importer of duckdb."""

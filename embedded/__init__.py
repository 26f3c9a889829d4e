"""The embedded ClickHouse: launcher and configuration of the real engine that PyPI's ``chdb-core`` carries."""

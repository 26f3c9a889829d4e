"""Qtickets REST API to ClickHouse: orders, events and seats into the six tables of the production contract."""

__version__ = "1.0.0"

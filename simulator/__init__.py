"""A Qtickets REST API v1 over HTTP: deterministic data, every paging shape, fault switches. See README.md."""

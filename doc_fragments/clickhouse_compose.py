"""Documentation of the options that name a Compose project and its service."""


class ModuleDocFragment:
    """`extends_documentation_fragment: [clickhouse_compose]`."""

    DOCUMENTATION = r"""
options:
  project_dir:
    description: Folder of the Compose project on this host.
    type: path
    required: true
  files:
    description: Compose files in that folder, when they have other names than Compose looks for.
    type: list
    elements: str
    default: []
  service:
    description: The service that runs ClickHouse.
    type: str
    required: true
  data_targets:
    description: Paths in the container whose mounts are its state; the first one is ClickHouse's data folder.
    type: list
    elements: str
    default: [/var/lib/clickhouse, /var/log/clickhouse-server]
"""

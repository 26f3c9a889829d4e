"""Documentation of the options that every module here takes to reach ClickHouse."""


class ModuleDocFragment:
    """`extends_documentation_fragment: [clickhouse_login]`; a module describes what it uses in its own way again."""

    DOCUMENTATION = r"""
options:
  login_host:
    description: Host name or address of the server.
    type: str
    default: localhost
  login_port:
    description: Port of the native protocol.
    type: int
    default: 9000
  login_user:
    description: User to log in as.
    type: str
    default: default
  login_password:
    description: Its password.
    type: str
    default: ""
  login_db:
    description: Database of the session.
    type: str
    default: default
  client_kwargs:
    description: Further arguments of C(clickhouse_driver.Client), such as C(secure).
    type: dict
    default: {}
"""

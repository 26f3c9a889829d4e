"""Documentation of the options that the modules which reset a server share."""


class ModuleDocFragment:
    """`extends_documentation_fragment: [clickhouse_reset]`."""

    DOCUMENTATION = r"""
options:
  http_port:
    description: Port of the HTTP interface.
    type: int
    required: true
  state:
    description:
      - V(fresh) starts the server empty, its data moved aside and noted. V(keep) starts it on what it has, and touches
        nothing where it runs.
      - V(restored) brings back what no run made, or O(stamp), and proves that the tables and rows are those noted.
      - V(ended) notes what a run left, and after a run that O(passed) deletes what runs made, but for O(keep_backups).
      - V(deleted) deletes what was moved aside under O(stamp), and nothing else.
    type: str
    choices: [fresh, keep, restored, ended, deleted]
    default: fresh
  look:
    description: Only tell what would stand in the way of O(state), all of it, as C(findings). Never fails for that.
    type: bool
    default: false
  confirm:
    description: Name of the place whose tables may be moved aside.
    type: str
    default: ""
  throwaway:
    description: Whether all data of this server is made by runs, so that no confirmation is needed.
    type: bool
    default: false
  passwordless:
    description: Whether users without a password are meant.
    type: bool
    default: false
  quiet_minutes:
    description: Refuse when another program than the ingest wrote within this time.
    type: int
    default: 10
  writers:
    description: Programs that may have written all the same, as C(user:program).
    type: list
    elements: str
    default: []
  wait_seconds:
    description: Time limit for the server to answer.
    type: float
    default: 120
  keep_backups:
    description: How many moves are kept of data that runs made.
    type: int
    default: 3
  stamp:
    description: A move, by the time in its name.
    type: str
    default: ""
  passed:
    description: Whether the run that ends passed.
    type: bool
    default: false
  ingest_user:
    description: User that the ingest logs in with.
    type: str
    default: ""
  targets:
    description: Tables that the ingest writes, as C(database.table).
    type: list
    elements: str
    default: []
  window:
    description: >-
      C(from) and C(to) of the ingest, UTC by the server's clock. Tells it from other programs where O(targets) is empty
      and O(ingest_user) is also O(login_user).
    type: dict
    default: {}
  run_id:
    description: The run.
    type: str
    default: ""
  inventory:
    description: The inventory as a person gives it, for the commands that are shown.
    type: str
    default: <inventory>
"""

"""What the suites share: one engine per session, a database of its own for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from ansible.module_utils.ingest_verify import causes
from ansible.module_utils.ingest_verify.diagnosis.client_side import rules
from ansible.module_utils.ingest_verify.diagnosis.server_side import classify

from embedded.testing import Engine, start_engine
from tests.said import said  # noqa: F401 - a fixture of every suite

# What a person sees has a test of its own; the others read each task's outcome.
os.environ.setdefault("ANSIBLE_STDOUT_CALLBACK", "default")

INGEST_USER = "ingest"
INGEST_PASSWORD = secrets.token_hex(8)


@pytest.fixture(scope="session", autouse=True)
def order_never_decides() -> Iterator[None]:
    """Two causes of one fact, none narrower than the other, fail whichever test meets them."""

    def narrowest(told: list[causes.Decision]) -> list[causes.Decision]:
        left = causes.narrowest(told)
        assert len(found := {decision.cause for decision in left}) < 2, f"none is narrower: {sorted(found)}"
        return left

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "narrowest", narrowest)
        patch.setattr(classify, "narrowest", narrowest)
        yield


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real engine with user `admin` and the ingest's user, both with every right."""
    folder = tmp_path_factory.mktemp("engine")
    with start_engine(
        folder, users={INGEST_USER: {"password": INGEST_PASSWORD, "grants": ["GRANT ALL ON *.*"]}}
    ) as running:
        yield running


@pytest.fixture
def database(engine: Engine) -> Iterator[str]:
    """A fresh database on the shared engine."""
    name = f"test_{secrets.token_hex(6)}"
    engine.query(f"CREATE DATABASE {name}")
    yield name
    engine.query(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def login(engine: Engine) -> dict[str, object]:
    """The `login_*` options that reach the shared engine as `admin`."""
    return {
        "login_host": engine.host,
        "login_port": engine.tcp_port,
        "login_user": engine.user,
        "login_password": engine.password,
    }


# The files of a minute and more, the longest first. xdist hands them out in this order, as the Makefile asks it to.
LONGEST = (
    "docker/test_foreign.py",
    "docker/test_live_data.py",
    "faults/test_play.py",
    "docker/test_remote.py",
    "docker/test_molecule.py",
    "test_lint.py",
    "faults/test_real_loaders.py",
    "faults/test_restore.py",
    "faults/test_external.py",
    "faults/test_interrupted.py",
    "ingest/tests/test_robust.py",
    "integration/test_molecule.py",
    "integration/test_evidence_versions.py",
    "integration/test_query_logging.py",
    "faults/test_init.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then what plays whole playbooks: one that is met last keeps all others waiting."""

    def rank(item: pytest.Item) -> tuple[int, bool]:
        place = next((number for number, name in enumerate(LONGEST) if item.path.match(name)), len(LONGEST))
        return place, not {"Site", "molecule", "shop_in"} & vars(getattr(item, "module", None)).keys()

    items.sort(key=rank)


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: a worker often waits, for Docker, for an engine that starts, for a log that is flushed."""
    return 2 * (os.cpu_count() or 1)

"""Import paths of the test suite: the code under test lives where Ansible and the images expect it."""

import os
import sys
from pathlib import Path

import ansible.module_utils
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent
for folder in (ROOT, ROOT / "ingest"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# Modules import `ansible.module_utils.ingest_verify`, found through ansible.cfg; tests take the same name.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

# How long a busy machine takes for an example says nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: a play waits for processes and sockets about half of its time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1

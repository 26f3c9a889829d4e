"""Cases as data: what happened, the loader's log, the server's rows, and what has to be said; see README.md."""

from pathlib import Path

import ansible.module_utils

# The suite's conftest.py does the same; `make score` runs without pytest.
_FOLDER = str(Path(__file__).resolve().parents[2] / "module_utils")
if _FOLDER not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_FOLDER)

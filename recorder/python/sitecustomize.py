"""Starts the recorder, then hands on to the `sitecustomize` that the program would have had without it.

Nothing else lies in this folder, and it is taken off `sys.path` again, so no further module can be imported because of
the recorder. Whatever goes wrong here goes wrong silently: the program runs as if the recorder were not there.
"""

import os
import sys


def _start(folder):
    # Both are built into the interpreter: nothing of the standard library is imported before the program does it.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    package = os.path.join(os.path.dirname(folder), "ingest_recorder")
    spec = spec_from_file_location(
        "ingest_recorder", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    module = module_from_spec(spec)
    sys.modules["ingest_recorder"] = module
    spec.loader.exec_module(module)
    module.start(os.environ["INGEST_RECORDER_FILE"])


def _hand_on():
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        # What `site` passes over: the program has no `sitecustomize`, as without the recorder.
        raise ImportError("no further sitecustomize", name="sitecustomize")
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_folder = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _folder]
sys.path_importer_cache.pop(_folder, None)
if os.environ.get("INGEST_RECORDER_FILE"):
    try:
        _start(_folder)
    except Exception:  # noqa: BLE001 - never the program's trouble
        pass
_hand_on()

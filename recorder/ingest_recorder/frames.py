"""Places in code: whose file it is, and the frames of a traceback with the source lines of the program's own."""

import os
import sys

from . import mask

_MAX_FRAMES = 30
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_own = {}
# Packages that are the program although they are installed: (top folder of the package, ...).
_programs = None


def is_own(file):
    """Whether a file is the program's: neither the language's, nor an installed package's, nor the recorder's."""
    known = _own.get(file)
    if known is None:
        known = _judge(file)
        if len(_own) < 10_000:
            _own[file] = known
    return known


def _judge(file):
    path = file.replace("\\", "/")
    if path.startswith("<") or file.startswith(_HERE):
        return False
    if "/site-packages/" in path or "/dist-packages/" in path:
        return any(path.startswith(top) for top in _installed_programs())
    return not os.path.abspath(file).startswith(os.path.dirname(os.__file__) + os.sep)


def _installed_programs():
    """Folders of the packages that the main program was started from: `python -m package`, or a console script."""
    global _programs
    main = sys.modules.get("__main__")
    if _programs is None and main is not None:
        names = set()
        spec = getattr(main, "__spec__", None)
        if spec is not None and spec.name:
            names.add(spec.name.partition(".")[0])
        script = getattr(main, "__file__", None)
        # A console script lies beside the interpreter and imports what it starts.
        if script and spec is None and os.path.dirname(script) == os.path.dirname(sys.executable):
            try:
                with open(script, encoding="utf-8", errors="replace") as source:
                    words = [line.split() for line in source.read(4096).splitlines()]
                names |= {line[1].partition(".")[0] for line in words if len(line) > 3 and line[0] == "from"}
            except OSError:
                pass
        modules = [sys.modules.get(name) for name in names]
        files = [getattr(module, "__file__", None) for module in modules]
        folders = [os.path.dirname(found).replace("\\", "/") + "/" for found in files if found]
        if folders and any("/" + name + "/" in folder for name in names for folder in folders):
            _programs = [folder for folder in folders if any(folder.endswith("/" + name + "/") for name in names)]
        elif not names:
            _programs = []
    return _programs or ()


def of_traceback(traceback):
    """The frames of a traceback, the outermost first; of a long one both ends."""
    places = []
    while traceback is not None and len(places) < 2000:
        places.append((traceback.tb_frame.f_code, traceback.tb_lineno, traceback.tb_frame.f_globals))
        traceback = traceback.tb_next
    if len(places) > _MAX_FRAMES:
        places = places[:8] + places[8 - _MAX_FRAMES :]
    return [_described(*place) for place in places if not place[0].co_filename.startswith(_HERE)]


def of_callers(frame, limit=8):
    """The program's own frames that called this one, the innermost first."""
    found = []
    steps = 0
    while frame is not None and len(found) < limit and steps < 200:
        if is_own(frame.f_code.co_filename):
            found.append(_described(frame.f_code, frame.f_lineno, frame.f_globals))
        frame = frame.f_back
        steps += 1
    return found


def _described(code, line, variables):
    own = is_own(code.co_filename)
    place = {"file": code.co_filename, "line": line, "function": code.co_name, "own": own}
    if own and line:
        source = _source(code.co_filename, line, variables)
        if source:
            place["code"] = mask.text(source, 160)
    return place


def _source(file, line, variables):
    # Also finds the source of a module in a zip file, by its loader.
    import linecache

    return linecache.getline(file, line, variables).strip()

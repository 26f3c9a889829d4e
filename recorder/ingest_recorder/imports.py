"""Hooks that are put in place when the program imports the module that they hook, right after it was executed."""

import sys

from .guard import quiet

# Name of a module → function of the executed module.
HOOKS = {}


class _Finder:
    """Finds nothing by itself: it asks the finders behind it, and wraps the loader of a module with a hook."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        hook = HOOKS.get(name)
        if hook is None:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is _Finder or find is None:
                continue
            spec = find(name, path, target)
            if spec is not None:
                _after_execution(spec, hook)
                return spec
        return None

    @staticmethod
    def invalidate_caches():
        """Nothing is cached."""


@quiet
def _after_execution(spec, hook):
    loader = spec.loader
    execute = loader.exec_module

    def exec_module(module):
        del loader.exec_module
        execute(module)
        quiet(hook)(module)

    # On the instance, so that the program meets the loader that it would have met.
    loader.exec_module = exec_module


def install():
    """Hook what is imported already, and what will be."""
    sys.meta_path.insert(0, _Finder)
    for name, hook in HOOKS.items():
        module = sys.modules.get(name)
        if module is not None:
            quiet(hook)(module)


def wrap(owner, name, make):
    """Replace an attribute by `make(original)`, under the original's name; nothing where it is missing."""
    original = getattr(owner, name, None)
    if original is None:
        return
    wrapper = make(original)
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        try:
            setattr(wrapper, attribute, getattr(original, attribute))
        except (AttributeError, TypeError):
            continue
    wrapper.__wrapped__ = original
    setattr(owner, name, wrapper)

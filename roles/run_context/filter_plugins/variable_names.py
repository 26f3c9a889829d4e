"""Filters that find names which nothing reads because they are misspelt: of variables, and of tags."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

# Ten times as fast where PyYAML has it; both are safe loaders.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Tags are short.
_TAG_LIKENESS = 0.8
# A letter more, fewer, another or swapped in the shortest names; `schema_apply_dir` is not yet `schema_apply_drift`.
_LIKENESS = 0.9


def unread_variables(
    names: Iterable[str], roles: str, shared: Iterable[str], typed: Iterable[str] = (), short: Iterable[str] = ()
) -> dict[str, dict[str, str]]:
    """Variables that look like settings of this project and are none, by name with the setting that each resembles.

    `names` are those of all variables, `roles` the folder of the roles, whose argument specs say what is read, `shared`
    what every inventory declares. `misspelt` are names that resemble a role's option; `unknown` are others with a
    role's beginning (resembling nothing: empty text), and those that resemble a shared one, which may be somebody
    else's. What was `typed` with `-e` is meant for this play: it is misspelt too where it resembles a shared one or one
    of the `short` names that a playbook takes. Raises OSError or yaml.YAMLError when a spec cannot be read.
    """
    specs = {path.parts[-3]: path for path in Path(roles).glob("*/meta/argument_specs.yml")}
    options: set[str] = set()
    for path in specs.values():
        spec = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
        for entry in spec["argument_specs"].values():
            options |= entry.get("options", {}).keys()
    found: dict[str, dict[str, str]] = {"misspelt": {}, "unknown": {}}
    known = options | set(shared)
    for name, nearest in _resembling(names, known, _LIKENESS).items():
        if nearest or name.startswith(tuple(f"{role}_" for role in specs)):
            found["misspelt" if nearest in options else "unknown"][name] = nearest
    for name, nearest in _resembling(typed, known | set(short), _TAG_LIKENESS).items():
        if nearest:
            found["misspelt"][name] = nearest
            found["unknown"].pop(name, None)
    return found


def typed_variables(_: object) -> list[str]:
    """Names of the variables that the command line gives with `-e`."""
    return sorted(load_extra_vars(DataLoader()))


def misspelt_tags(tags: Iterable[str], roles: str) -> dict[str, str]:
    """Tags that are no stage's, by name with the one that each resembles; others may be those of somebody's own play.

    `roles` is the folder of the roles, whose names are the stages' tags.
    """
    known = {path.name for path in Path(roles).iterdir()} | {"query_logging_off"}
    return {tag: nearest for tag, nearest in _resembling(tags, known, _TAG_LIKENESS).items() if nearest}


def _resembling(names: Iterable[str], known: Iterable[str], likeness: float) -> dict[str, str]:
    """Each name that is not known, with the known one that it resembles; empty text when there is none."""
    candidates = sorted(known)
    return {
        name: "".join(difflib.get_close_matches(name, candidates, n=1, cutoff=likeness))
        for name in sorted(set(names) - set(candidates))
    }


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name that a misspelt one resembles; empty text when there is none."""
    return "".join(difflib.get_close_matches(name, sorted(known), n=1))


def others_variables(names: Iterable[str], profile: str, profiles: str) -> dict[str, str]:
    """Variables that are set and belong to a profile that is not chosen: each with that profile's name.

    `profile` is the chosen profile's file, empty without one; `profiles` the folder of those that are ready.
    """
    chosen = Path(profile).resolve() if profile else None
    declared = {path: yaml.safe_load(path.read_text()).get("variables", []) for path in Path(profiles).glob("*.yml")}
    own = set(declared.get(chosen, [])) if chosen else set()
    owner = {name: path.stem for path, variables in sorted(declared.items()) for name in variables}
    return {name: owner[name] for name in sorted(set(names) & set(owner) - own)}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {
            "misspelt_tags": misspelt_tags,
            "nearest_name": nearest_name,
            "others_variables": others_variables,
            "typed_variables": typed_variables,
            "unread_variables": unread_variables,
        }

"""The project's own promises: specs and defaults agree, references are current, pins are in step."""

from __future__ import annotations

import ast
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import ansible_collections.community.docker
import pytest
import yaml
from ansible.module_utils.ingest_verify.causes import CATALOGUE
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def read(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def options_of(role: str) -> dict:
    specs = read(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}


@pytest.mark.parametrize("role", ROLES)
def test_argument_spec_and_defaults_have_the_same_names_and_values(role):
    defaults = read(ROOT / "roles" / role / "defaults" / "main.yml") or {}
    options = options_of(role)
    # Ansible checks a spec's default but never sets it, so each must stand in defaults/main.yml too.
    assert {name: option["default"] for name, option in options.items() if "default" in option} == defaults


@pytest.mark.parametrize("role", ROLES)
def test_every_option_has_a_type_and_a_description(role):
    for name, option in options_of(role).items():
        assert option.get("type"), name
        assert option.get("description"), name
        assert name.startswith(f"{role}_"), name


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_no_other_roles_variables(role):
    """`run` is the only thing that stages share; a role's own variables carry its name. A role may hand values to the
    tasks of another one that it imports."""
    others = [name for name in ROLES if name not in (role, "run_context")]
    for path in (ROOT / "roles" / role).rglob("*"):
        if path.suffix not in (".yml", ".j2"):
            continue
        for other in others:
            handed = rf"import_role:\n +name: {other}\n +tasks_from: \S+\n +vars:\n(?: +{other}_\w+: .*\n)+"
            text = re.sub(handed, "", path.read_text(encoding="utf-8"))
            used = re.findall(rf"\b_{{0,2}}{other}_[a-z_]+", text)
            assert not used, f"{path.relative_to(ROOT)} reads {used[0]}"


def tasks_of(entries: list[dict]) -> Iterator[dict]:
    for entry in entries or []:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part, []))


# run_report fails with the verdict on all stages.
@pytest.mark.parametrize("role", sorted({*ROLES} - {"run_report"}))
def test_every_task_that_ends_a_run_on_purpose_names_its_cause_class(role):
    for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
        for task in tasks_of(read(path)):
            # What a module's findings say is on record already.
            said = task.get("ansible.builtin.fail", {}).get("msg", "")
            if re.fullmatch(rf"\{{\{{ __{role}\w*\.message \}}\}}", said):
                continue
            if {"outcome", "told"} & task.get("require", {}).keys():
                continue
            if {"ansible.builtin.assert", "ansible.builtin.fail", "require"} & task.keys():
                cause = task.get("vars", {}).get(f"{role}_cause", "")
                asked = task.get("require", {"that": ""})
                for check in asked.get("checks", []) + [{}] * ("that" in asked):
                    given = check.get("cause", cause)
                    assert re.fullmatch(r"(host|config|evidence)_[a-z_]+", given), (path.name, task["name"])


GENERATE = runpy.run_path(str(ROOT / "docs/generate.py"))


# Their files in library/ are documentation; the work is done on the control node.
ACTIONS = {path.stem for path in (ROOT / "action_plugins").glob("*.py") if not path.is_symlink()} - {"in_process"}


class AskedError(Exception):
    """Ends a module where it tells Ansible its arguments."""


@pytest.mark.parametrize("module", sorted({path.stem for path in (ROOT / "library").glob("*.py")} - ACTIONS))
def test_a_modules_documented_options_are_its_arguments(module, monkeypatch):
    def told(argument_spec: dict, **_: object) -> None:
        raise AskedError(argument_spec)

    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule", told)
    with pytest.raises(AskedError) as asked:
        runpy.run_path(str(ROOT / "library" / f"{module}.py"), run_name="__main__")
    names = ("type", "elements", "choices", "default", "required")
    arguments = {
        name: {key: option[key] for key in names if option.get(key) not in (None, False)}
        for name, option in asked.value.args[0].items()
    }
    documented = {
        name: {key: option[key] for key in names if option.get(key) not in (None, False)}
        for name, option in GENERATE["module_doc"](ROOT / "library" / f"{module}.py")["options"].items()
    }
    assert documented == arguments


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_an_actions_documented_options_are_its_arguments(action):
    names = ("type", "elements", "choices", "default", "required")

    def told(options: dict) -> dict:
        return {
            name: {key: option[key] for key in names if option.get(key) not in (None, False)}
            for name, option in options.items()
        }

    arguments = runpy.run_path(str(ROOT / "action_plugins" / f"{action}.py"))["ARGUMENTS"]
    assert told(GENERATE["module_doc"](ROOT / "library" / f"{action}.py")["options"]) == told(arguments)


def test_every_module_is_linked_to_the_action_that_runs_it_in_the_plays_own_process():
    modules = {path.stem for path in (ROOT / "library").glob("*.py")} - ACTIONS
    links = {path.stem: path.readlink() for path in (ROOT / "action_plugins").glob("*.py") if path.is_symlink()}
    assert links == dict.fromkeys(modules, Path("in_process.py"))


def test_requirements_yml_admits_the_collection_that_the_lock_installs():
    wanted = read(ROOT / "requirements.yml")["collections"]
    folder = Path(next(iter(ansible_collections.community.docker.__path__)))
    installed = json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"]
    assert [entry["name"] for entry in wanted] == ["community.docker"]
    assert installed in SpecifierSet(wanted[0]["version"])


@pytest.mark.parametrize("name", ["requirements/run", "requirements/dev", "requirements/target", "ingest/requirements"])
def test_every_lock_pins_what_its_input_asks_for(name):
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / f"{name}.lock").read_text(encoding="utf-8"), re.MULTILINE))
    asked = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / f"{name}.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert {package.lower() for package in asked} <= locked


def test_the_environment_is_the_one_that_is_locked():
    lock = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8")
    for name in ("ansible-core", "clickhouse-driver", "chdb-core"):
        pinned = re.search(rf"^{name}==(\S+)", lock, re.MULTILINE)[1]
        assert distribution(name).version == pinned


def test_the_generated_reference_is_current():
    outcome = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout


def test_no_password_or_token_stands_in_a_tracked_inventory():
    # `admin_pass` is the public default of production's Compose project, kept so that `-i prod` works as it stands.
    for path in [*(ROOT / "inventories").rglob("*.yml"), *(ROOT / "group_vars").rglob("*.yml")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if re.search(r"password|token|secret", name) and not name.lstrip().startswith("#"):
                assert "{{" in value or value.strip() in ("", ">-"), f"{path.name}: {name}"


NAMES = runpy.run_path(str(ROOT / "roles/run_context/filter_plugins/variable_names.py"))


@pytest.fixture(scope="module")
def unread() -> Callable[..., dict[str, dict[str, str]]]:
    """The filter of role run_context, with what the role tells it."""
    role = ROOT / "roles/run_context"
    names = read(role / "vars/main.yml")
    return lambda *given, typed=(): NAMES["unread_variables"](
        given,
        str(ROOT / "roles"),
        names["_run_context_shared"] + names["_run_context_facts"],
        typed,
        names["_run_context_short"],
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("verify_data_cheks", "verify_data_checks"),
        ("clickhouse_reset_projct_dir", "clickhouse_reset_project_dir"),
        ("clickhouse_reset_file", "clickhouse_reset_files"),
        ("clickhouse_reset_comfirm", "clickhouse_reset_confirm"),
        ("schema_aply_file", "schema_apply_file"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_one_that_is_meant(unread, name, meant):
    assert unread(name) == {"misspelt": {name: meant}, "unknown": {}}


@pytest.mark.parametrize(
    ("name", "meant"), [("windowminutes", "window_minutes"), ("clickhose_port", "clickhouse_port")]
)
def test_what_was_typed_is_meant_for_this_play(unread, name, meant):
    assert unread(name, typed=[name])["misspelt"] == {name: meant}
    assert unread(typed=["window_minutes", "shop_dir", "ansible_user", "run_id"])["misspelt"] == {}


def test_variables_of_ones_own_are_no_misspelt_ones(unread):
    """Helpers in an inventory, and names that a role which installs ClickHouse knows."""
    told = unread(
        "schema_apply_dir", "clickhouse_users", "clickhouse_version", "shop_dir", "ansible_user", "window_minutes"
    )
    assert told == {"misspelt": {}, "unknown": {"clickhouse_users": "clickhouse_user", "schema_apply_dir": ""}}


def test_no_name_that_this_project_uses_itself_is_told(unread):
    places = [
        ROOT / "group_vars/all.yml",
        *ROOT.glob("inventories/*/group_vars/*.yml"),
        *ROOT.glob("tests/foreign/inventory/group_vars/*.yml"),
    ]
    names = {name for place in places for name in read(place)} | {name for role in ROLES for name in options_of(role)}
    facts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles/run_context/tasks").glob("*.yml"))
    names |= set(re.findall(r"^ +(run_context_\w+):", facts, re.MULTILINE))
    assert len(names) > 100
    assert unread(*names) == {"misspelt": {}, "unknown": {}}


def test_a_misspelt_tag_is_told_from_a_tag_of_ones_own():
    misspelt_tags, roles = NAMES["misspelt_tags"], str(ROOT / "roles")
    assert misspelt_tags(["verify_dta", "verify-data", "schema_aply", "clickhouse_rest"], roles) == {
        "verify_dta": "verify_data",
        "verify-data": "verify_data",
        "schema_aply": "schema_apply",
        "clickhouse_rest": "clickhouse_reset",
    }
    own = re.findall(r"tags: \[?([\w, -]+)", (ROOT / "verify.yml").read_text(encoding="utf-8"))
    assert {"query_logging_off", "molecule-idempotence-notest"} < set(", ".join(own).split(", "))
    assert misspelt_tags([*", ".join(own).split(", "), "all", "tagged", "nightly"], roles) == {}


def test_each_promise_of_safety_names_a_test_that_is_there():
    text = (ROOT / "docs/explanation/safety.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) >= 20
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_five_failed_runs_are_shown_as_their_reports_tell_them():
    pages = ROOT / "docs/explanation/failed-runs"
    runs = re.findall(r'^    "(\w+)": \w+,$', (ROOT / "docs/failed_runs.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(runs) == 5
    assert {path.name for path in pages.iterdir()} == {
        "README.md", *(f"{run}.{form}" for run in runs for form in ("html", "png"))
    }  # fmt: skip
    for run in runs:
        page = (pages / f"{run}.html").read_text(encoding="utf-8")
        assert f"<code>{run}</code>" in page
        assert '<div class="fix"><h2>What to do</h2>' in page
        assert str(ROOT) not in page


def imports_of(package: str) -> set[str]:
    """The neighbours within `ingest_verify` that a package of it imports, by their first names."""
    base = ROOT / "module_utils" / "ingest_verify"
    found = set()
    for path in (base / package).rglob("*.py"):
        inside = path.relative_to(base).parent.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                start = inside[: len(inside) - node.level + 1]
                names = node.module.split(".")[:1] if node.module else [alias.name for alias in node.names]
                found |= set(start[:1] or names)
    return found - {package}


@pytest.mark.parametrize(
    ("package", "above"),
    [("facts", {"causes", "diagnosis", "findings", "checks"}), ("causes", {"facts", "diagnosis", "checks"})],
)
def test_reading_concludes_nothing_and_the_catalogue_stands_alone(package, above):
    assert imports_of(package) & above == set()


def test_no_fact_names_a_cause():
    # A column of query_log has the same name as a cause.
    known = set(CATALOGUE) - {"client_address"}
    for path in (ROOT / "module_utils/ingest_verify/facts").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not texts & known, path

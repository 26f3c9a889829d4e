"""The launcher's configuration and its questions to /proc, without an engine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from embedded import process
from embedded.config import Layout, Options, User, changed_since_start, install_effective, render_config, render_users
from embedded.errors import EmbeddedError

HOSTILE_TEXT = """<&>'"]]>"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.of(tmp_path / "it's <here>")
    for folder in ("config.d", "users.d"):
        (layout.conf / folder).mkdir(parents=True)
    layout.config_xml.write_text(render_config(layout, Options()))
    layout.users_xml.write_text(render_users([User.with_password("admin", "secret")]))
    return layout


def test_config_is_xml_whatever_the_folder_is_called(layout: Layout) -> None:
    root = ElementTree.fromstring(render_config(layout, Options(display_name=HOSTILE_TEXT)))
    assert root.findtext("path") == f"{layout.data}/"
    assert root.findtext("display_name") == HOSTILE_TEXT


def test_users_hold_hashes_and_escaped_settings() -> None:
    user = User.with_password(
        "ingest", "pa<ss", grants=["GRANT SELECT ON a.`<b>`"], profile_settings={"x": HOSTILE_TEXT}
    )
    text = render_users([user])
    root = ElementTree.fromstring(text)
    assert "pa<ss" not in text
    assert root.findtext("users/ingest/grants/query") == "GRANT SELECT ON a.`<b>`"
    assert root.findtext("profiles/profile_ingest/x") == HOSTILE_TEXT
    assert root.find("users/ingest/access_management") is None


@pytest.mark.parametrize("name", ["default", "", "a b", "1st", "<x>", "имя"])
def test_user_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(EmbeddedError) as refused:
        User.with_password(name, "x")
    assert refused.value.kind == "bad_argument"


def test_options_come_back_as_they_went(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    options = Options(http_port=1, timezone="Asia/Tokyo", log_tables=("query_log",))
    path.write_text(options.to_json())
    assert Options.load(path) == options
    path.write_text("{")
    with pytest.raises(EmbeddedError, match=r"options\.json"):
        Options.load(path)


def test_last_drop_in_decides_on_ports_and_time_zone(layout: Layout) -> None:
    (layout.conf / "config.d/a.xml").write_text(
        "<clickhouse><http_port>1</http_port><timezone>UTC</timezone></clickhouse>"
    )
    (layout.conf / "config.d/b.xml").write_text("<clickhouse><http_port>2</http_port></clickhouse>")
    assert Options(http_port=7, tcp_port=8).with_drop_ins(layout) == Options(http_port=2, tcp_port=8)


def test_password_of_a_drop_in_takes_the_place_of_the_launchers(layout: Layout) -> None:
    (layout.conf / "users.d/x.xml").write_text(
        "<clickhouse><users><admin><password>other</password></admin></users></clickhouse>"
    )
    install_effective(layout)
    admin = ElementTree.parse(layout.effective / "users.xml").find("users/admin")
    assert admin is not None
    assert admin.find("password_sha256_hex") is None
    assert admin.find("networks/ip") is not None


def test_every_kind_of_configuration_change_is_seen(layout: Layout) -> None:
    drop_in = layout.conf / "users.d/x.xml"
    install_effective(layout)
    assert not changed_since_start(layout)
    drop_in.write_text("<clickhouse/>")
    assert changed_since_start(layout)
    install_effective(layout)
    assert not changed_since_start(layout)
    drop_in.write_text("<clickhouse> </clickhouse>")
    assert changed_since_start(layout)
    install_effective(layout)
    drop_in.unlink()
    assert changed_since_start(layout)


def test_start_ticks_tell_a_live_process_from_a_dead_one() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = process.start_ticks(child.pid)
    assert ticks is not None
    child.send_signal(signal.SIGKILL)
    # Until it is waited for, the dead child is a zombie that still has an entry in /proc.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.start_ticks(child.pid) is None
    child.wait()
    assert process.start_ticks(child.pid) is None
    assert ticks < time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") + 1


def test_port_holder_is_named() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen()
        assert not process.port_is_free("127.0.0.1", port)
        assert f"pid {os.getpid()} (" in process.port_holder(port)
    assert process.port_is_free("127.0.0.1", port)


def test_the_image_has_the_versions_of_the_lock() -> None:
    root = Path(__file__).parents[2]
    pins = [
        set((root / name).read_text().split("\n")) for name in ("embedded/requirements.lock", "requirements/run.lock")
    ]
    assert {line.rstrip(" \\") for line in pins[0]} <= {line.rstrip(" \\") for line in pins[1]}

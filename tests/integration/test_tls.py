"""The native port behind TLS, with certificates of the test's own: what works, and what each mistake is called."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from ansible.module_utils.ingest_verify.client import ConnectError, connect, query

from embedded.testing import Engine

pytestmark = pytest.mark.skipif(
    not shutil.which("stunnel") and not os.environ.get("CI"),
    reason="stunnel is not installed (apt-get install stunnel4)",
)
LOCAL = ("localhost", "127.0.0.1")
PAST = datetime.datetime(2020, 1, 1)


class Site:
    """TLS ports in front of an engine, each with a certificate of its own, and the files that a client names."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.engine = folder, engine
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(self.file("ca.pem"))
        self.stranger.cert_pem.write_to_path(self.file("other.pem"))
        self.processes: list[subprocess.Popen[bytes]] = []

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def serve(self, *names: str, options: str = "", **issue: datetime.datetime) -> int:
        """A TLS port whose certificate is for `names`; `options` are stunnel's own."""
        certificate = self.authority.issue_cert(*(names or LOCAL), **issue)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        pem = self.folder / f"{port}.pem"
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        pem.write_bytes(certificate.private_key_pem.bytes() + chain)
        config = self.folder / f"{port}.conf"
        config.write_text(
            f"foreground = yes\npid =\noutput = {self.folder}/{port}.log\n{options}\n[native]\n"
            f"accept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{self.engine.tcp_port}\ncert = {pem}\n"
        )
        process = subprocess.Popen(["stunnel", str(config)], stderr=subprocess.PIPE)
        self.processes.append(process)
        assert process.stderr is not None
        # It says when it listens; a wrong configuration ends the process and so the loop.
        for line in process.stderr:
            if b"Configuration successful" in line:
                break
        assert process.poll() is None, (self.folder / f"{port}.log").read_text()
        return port

    def connect(self, port: int, **client_kwargs: object) -> str:
        """The server's version as a client with these options reads it; raises ConnectError."""
        login = {
            "login_host": "127.0.0.1", "login_port": port, "login_user": self.engine.user,
            "login_password": self.engine.password, "client_kwargs": client_kwargs,
        }  # fmt: skip
        return str(query(connect(login), "SELECT version() AS v")[0]["v"])


@pytest.fixture(scope="module")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("tls"), engine)
    yield made
    for process in made.processes:
        process.terminate()
        process.wait(10)
        process.stderr.close()  # type: ignore[union-attr]


def test_a_private_ca_is_trusted_by_its_file(site: Site) -> None:
    assert site.connect(site.serve(), secure=True, ca_certs=site.file("ca.pem")).count(".") == 3


def test_a_client_certificate_is_sent(site: Site) -> None:
    mine = site.authority.issue_cert("loader@example.test")
    mine.private_key_pem.write_to_path(site.file("me.key"))
    mine.cert_chain_pems[0].write_to_path(site.file("me.pem"))
    port = site.serve(options=f"verifyChain = yes\nCAfile = {site.file('ca.pem')}")
    with pytest.raises(ConnectError, match=r"(?i)set certfile and keyfile") as refused:
        site.connect(port, secure=True, ca_certs=site.file("ca.pem"))
    assert refused.value.kind == "tls"
    files = {"certfile": site.file("me.pem"), "keyfile": site.file("me.key")}
    assert site.connect(port, secure=True, ca_certs=site.file("ca.pem"), **files)


@pytest.mark.parametrize(
    ("names", "issue", "client", "told"),
    [
        (LOCAL, {}, {"secure": True}, "a CA that this host does not know. Set ca_certs"),
        (LOCAL, {}, {"secure": True, "ca_certs": "other.pem"}, "a CA that this host does not know. Set ca_certs"),
        (("elsewhere.test",), {}, {"secure": True, "ca_certs": "ca.pem"}, "names another host"),
        (
            LOCAL,
            {"not_after": PAST},
            {"secure": True, "ca_certs": "ca.pem"},
            "has expired. Renew",
        ),
        (LOCAL, {}, {}, "speaks TLS. Set secure: true in client_kwargs"),
        (
            LOCAL,
            {},
            {"secure": True, "ca_certs": "absent.pem"},
            "absent.pem (ca_certs in client_kwargs) cannot be read",
        ),
    ],
)
def test_each_mistake_is_named_with_its_remedy(
    site: Site, names: tuple[str, ...], issue: dict, client: dict, told: str
) -> None:
    if "ca_certs" in client:
        client = {**client, "ca_certs": site.file(client["ca_certs"])}
    with pytest.raises(ConnectError) as refused:
        site.connect(site.serve(*names, **issue), **client)
    assert refused.value.kind == "tls"
    assert told in str(refused.value)


def test_a_certificate_is_verified_unless_that_is_turned_off(site: Site) -> None:
    port = site.serve(not_after=PAST)
    assert site.connect(port, secure=True, verify=False)


def test_tls_on_a_port_without_it_is_told_so(site: Site) -> None:
    with pytest.raises(ConnectError, match=r"does not speak TLS\. Use the TLS port") as refused:
        site.connect(site.engine.tcp_port, secure=True, ca_certs=site.file("ca.pem"))
    assert refused.value.kind == "tls"

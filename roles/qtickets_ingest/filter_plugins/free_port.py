"""A filter that tells whether a port of this host is free."""

from __future__ import annotations

import socket
from collections.abc import Callable


def is_free_port(port: int) -> bool:
    """Whether nobody listens on this TCP port of this host's loopback or of all its addresses."""
    with socket.socket() as probe:
        # As the simulated API itself binds: an address that waits after a close is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"is_free_port": is_free_port}

"""Who else is told of a run: people through apprise, and OpenLineage's readers. Both are off unless asked for.

The libraries are no part of the run's environment (requirements/extras.in); without them a warning says what
to install.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from .text import one_line, parse_time

_INSTALL = "python -m pip install --require-hashes -r requirements/extras.lock"
_SPACE = uuid.UUID("6a0c1f0e-6a51-4d49-9f9c-5a5c8ad1c6ce")
_PRODUCER = "https://github.com/OpenLineage/OpenLineage"


def notify(model: Mapping[str, Any], urls: Sequence[str], link: str) -> str:
    """Send verdict, headline and path or link to each address; gives a warning's text, empty when all went well.

    An address holds a token: the text names its service alone.
    """
    try:
        import apprise
    except ImportError:
        return f"Nobody was notified: the package apprise is not installed. Install it with {_INSTALL}."
    title = f"{model['verdict']}: {model['host']}"
    body = f"{one_line(model['headline'], 300)}\n{one_line(model['summary'], 300)}\n{link}"
    failed = []
    for url in urls:
        sender = apprise.Apprise()
        service = url.partition("://")[0] or "?"
        try:
            sent = sender.add(url) and sender.notify(title=title, body=body)
        except Exception as error:  # noqa: BLE001 - a notification must not fail a run, whatever its plugin raises
            sent, service = False, f"{service} ({type(error).__name__})"
        if not sent:
            failed.append(service)
    return f"The notification failed for: {', '.join(failed)}. The run itself is not touched by it." if failed else ""


def lineage_event(model: Mapping[str, Any], namespace: str) -> str:
    """OpenLineage's run event as JSON. Raises ImportError without openlineage-python."""
    from openlineage.client import event_v2
    from openlineage.client.serde import Serde

    ended = parse_time(model["ended_at"])
    state = event_v2.RunState.COMPLETE if model["verdict"] == "PASS" else event_v2.RunState.FAIL
    ingest, server = model.get("ingest") or {}, model.get("server") or {}
    address = f"clickhouse://{server.get('host', 'unknown')}:{server.get('port', 9000)}"
    event = event_v2.RunEvent(
        eventType=state,
        eventTime=(ended.isoformat() if ended else str(model["ended_at"])),
        run=event_v2.Run(runId=str(uuid.uuid5(_SPACE, str(model["run_id"])))),
        job=event_v2.Job(namespace=namespace, name=str(ingest.get("job") or "ingest")),
        producer=_PRODUCER,
        inputs=[],
        outputs=[
            event_v2.OutputDataset(namespace=address, name=str(account["target"])) for account in model["accounts"]
        ],
    )
    return json.dumps(json.loads(Serde.to_json(event)), indent=2) + "\n"

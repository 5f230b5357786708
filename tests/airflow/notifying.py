"""Where alerts of a private Airflow go: a file, and a mail server on loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from airflow.sdk import BaseNotifier

from nightscribe.airflow.standalone import free_port


class ToFile(BaseNotifier):
    """A notifier as an organisation would write one: it adds its rendered text to a file."""

    template_fields = ("text",)

    def __init__(self, *, path: str, text: str) -> None:
        super().__init__()
        self.path = path
        self.text = text

    def notify(self, context: Any) -> None:
        """Add a line: what it is, and the text."""
        _add(self.path, "notifier", self.text)


def to_file(context: Mapping[str, Any], path: str) -> None:
    """A function that serves as a callback."""
    ti = context["ti"]
    _add(path, "function", f"{ti.dag_id}.{ti.task_id} {ti.run_id} {context['exception']}")


def broken(context: Mapping[str, Any]) -> None:
    """A callback that fails."""
    raise RuntimeError("no network")


def _add(path: str, kind: str, text: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps([kind, text]) + "\n")


class Mailbox:
    """A mail server that keeps what it gets.

    Attributes:
        mails: the messages, in the order of their arrival
        connection: its address as an Airflow connection, in JSON
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._server = Controller(self, hostname="127.0.0.1", port=free_port())
        self._server.start()
        self.connection = json.dumps(
            {
                "conn_type": "smtp",
                "host": "127.0.0.1",
                "port": self._server.port,
                "extra": {
                    "disable_ssl": True,
                    "disable_tls": True,
                    "from_email": "night@localhost",
                },
            }
        )

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a message; aiosmtpd calls this."""
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()

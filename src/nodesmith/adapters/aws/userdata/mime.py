"""MIME multipart archives, as cloud-init and nodeadm read them: parts in order, our own last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_string
from email.errors import MessageError
from typing import Final

from nodesmith.adapters.aws.userdata.bootstrap import UserDataError

SHELL: Final = 'text/x-shellscript; charset="us-ascii"'
NODE_CONFIG: Final = "application/node.eks.aws"
_BOUNDARY: Final = "//"
_HEADER: Final = re.compile(r"^(?:MIME-Version|Content-Type):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One document in the archive."""

    content_type: str
    body: str


def is_archive(text: str) -> bool:
    """Whether the text begins as a MIME archive does."""
    return bool(_HEADER.match(text.strip()))


def read_archive(text: str) -> list[Part]:
    """The parts of an archive.

    Raises:
        UserDataError: when it is not in multipart format.
    """
    try:
        message = message_from_string(text.strip().replace("\r\n", "\n"))
    except MessageError as error:
        raise UserDataError(f"parsing custom UserData, {error}") from error
    if not message.is_multipart():
        raise UserDataError("parsing custom UserData, archive is not in multipart format")
    parts = [part for part in message.walk() if part is not message]
    return [Part(part["Content-Type"] or "text/plain", str(part.get_payload())) for part in parts]


def write_archive(parts: list[Part]) -> str:
    """The archive of the parts."""
    written = [f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\n']
    written += [f"\n--{_BOUNDARY}\nContent-Type: {part.content_type}\n\n{part.body}" for part in parts]
    return "".join(written) + f"\n--{_BOUNDARY}--\n"

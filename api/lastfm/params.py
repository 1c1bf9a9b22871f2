"""The parameters of a call: form and query string together, names in any case."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from api.lastfm.errors import INVALID_PARAMETERS, INVALID_SIGNATURE, LastfmError

MAX_BODY = 1_048_576
_INDEXED = re.compile(r"([a-z_]+)\[(\d{1,4})\]")
_UNSIGNED = frozenset({"format", "callback", "api_sig"})


@dataclass(slots=True)
class Params:
    """Parameters as sent (for the signature) and by lower-case name, and where they came from."""

    sent: dict[str, str]
    named: dict[str, str]
    origin: str = ""

    @classmethod
    def read(cls, query: bytes, body: bytes, origin: str = "") -> Params:
        """Read a request; the body wins over the query string.

        Raises
        ------
        LastfmError
            6: not a form in UTF-8.
        """
        try:
            sent = {
                **dict(parse_qsl(query.decode("ascii"), keep_blank_values=True)),
                **dict(
                    parse_qsl(
                        body.decode("utf-8"),
                        keep_blank_values=True,
                        errors="strict",
                        max_num_fields=2000,
                    )
                ),
            }
        except ValueError:
            raise LastfmError(INVALID_PARAMETERS, "The body is not a form in UTF-8.") from None
        return cls(sent, {name.lower(): value for name, value in sent.items()}, origin)

    def get(self, name: str) -> str:
        """Return a parameter, ``""`` without it."""
        return self.named.get(name, "")

    def need(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises
        ------
        LastfmError
            6, naming it.
        """
        if value := self.named.get(name, ""):
            return value
        raise LastfmError(INVALID_PARAMETERS, f"The parameter {name} is missing.")

    @property
    def as_json(self) -> bool:
        """Whether the caller wants JSON."""
        return self.get("format").lower() == "json"

    def items(self) -> list[dict[str, str]]:
        """Return the groups of ``artist[0]``, ``track[0]``, ... in order; one may lack indices."""
        groups: dict[int, dict[str, str]] = {}
        plain: dict[str, str] = {}
        for name, value in self.named.items():
            if match := _INDEXED.fullmatch(name):
                groups.setdefault(int(match[2]), {})[match[1]] = value
            else:
                plain[name] = value
        if groups:
            return [groups[index] for index in sorted(groups)]
        return [plain] if {"artist", "track"} & plain.keys() else []

    def check_signature(self, secret: str) -> None:
        """Check ``api_sig`` against the shared secret; without a secret nothing is checked.

        Raises
        ------
        LastfmError
            13.
        """
        if not secret:
            return
        text = "".join(
            f"{name}{self.sent[name]}" for name in sorted(self.sent) if name not in _UNSIGNED
        )
        # The protocol fixes md5; what it guards is a session key sent along anyway.
        wanted = hashlib.md5((text + secret).encode(), usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(wanted.encode(), self.get("api_sig").lower().encode()):
            raise LastfmError(INVALID_SIGNATURE, "Invalid method signature supplied.")

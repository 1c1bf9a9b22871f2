"""The OpenAPI document without a running stack: ``python -m infra.documents.openapi FILE``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from api.app import create_app
from api.services import Services
from contracts.settings import Settings


def document() -> dict[str, Any]:
    """Return the document that ``/openapi.json`` serves.

    The application answers this one request in the process. It opens no connection.
    """
    return asyncio.run(_ask())


async def _ask() -> dict[str, Any]:
    with TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home),
            kafka="127.0.0.1:1",
            redis_url="redis://127.0.0.1:1/0",
            postgres_dsn="postgresql://nobody@127.0.0.1:1/none",
        )
        transport = httpx.ASGITransport(app=create_app(Services(settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://segue") as client:
            answer = await client.get("/openapi.json")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(document(), indent=1) + "\n")

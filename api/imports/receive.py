"""Takes an uploaded file piece by piece: no more than one piece is ever held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import ApiError, ClientGone
from contracts.imports import MAX_UPLOAD

#: Longest silence while a file arrives (seconds).
_SILENCE = 30.0
#: Bytes written at a time.
_PIECE = 1 << 20
#: Room that must be left on the disk (bytes).
_ROOM = 1 << 30


class Received(NamedTuple):
    """Size and SHA-256 of a file that has arrived."""

    size: int
    digest: bytes


async def receive(request: Request, target: Path) -> Received:
    """Write the request's body to a file, which is there in whole or not at all.

    Raises
    ------
    ApiError
        400 for an empty body, 408 for one that stopped arriving, 413 above the limit, 415 for a
        compressed one, 503 while the disk is full.
    ClientGone
        The caller hung up.
    """
    _check_declared(request)
    await asyncio.to_thread(_prepare, target)
    part = target.with_suffix(".part")
    try:
        received = await _write(request, part)
        await asyncio.to_thread(part.replace, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return received


def too_large() -> ApiError:
    """Return the refusal of a file above the limit."""
    return ApiError(
        413,
        "too-large",
        f"A file may have {MAX_UPLOAD >> 20} MB. Upload a larger one in parts, or as a zip; "
        "`segue import` has no limit.",
    )


def _check_declared(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "compressed", "Send the file as it is, without Content-Encoding.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_UPLOAD:
        raise too_large()


def _prepare(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if shutil.disk_usage(target.parent).free < MAX_UPLOAD + _ROOM:
        raise ApiError(
            503, "no-room", "The server's disk is nearly full: try again later.", retry_after=60
        )


async def _write(request: Request, part: Path) -> Received:
    size, digest, held = 0, hashlib.sha256(), bytearray()
    body = request.stream().__aiter__()
    with part.open("wb") as file:
        while True:
            try:
                async with asyncio.timeout(_SILENCE):
                    piece = await anext(body, None)
            except TimeoutError:
                message = f"Nothing of the file arrived for {_SILENCE:.0f} seconds."
                raise ApiError(408, "too-slow", message) from None
            except ClientDisconnect:
                raise ClientGone from None
            if piece is not None:
                size += len(piece)
                if size > MAX_UPLOAD:
                    raise too_large()
                digest.update(piece)
                held += piece
            if held and (piece is None or len(held) >= _PIECE):
                await asyncio.to_thread(file.write, bytes(held))
                held.clear()
            if piece is None:
                break
        await asyncio.to_thread(os.fsync, file.fileno())
    if not size:
        raise ApiError(400, "empty", "The file is empty: choose an export.")
    return Received(size, digest.digest())

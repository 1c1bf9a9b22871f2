"""The bucket that ``SEGUE_LAKE`` names, on Amazon S3 or a server that speaks its protocol.

Every error names the setting to look at: a wrong bucket or key is a
:class:`~contracts.errors.ConfigurationError`, a server that does not answer a
:class:`~contracts.errors.StoreUnavailable`. The lake's tables are not read here
(:mod:`contracts.lake_tables`), but with the same address and key.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contracts.errors import ConfigurationError, StoreUnavailable, first_line
from contracts.settings import Settings
from contracts.whole_files import replacing

if TYPE_CHECKING:
    from obstore.store import S3Store

_SCHEME = "s3://"
#: The library repeats a failed request for this long, this often; then the caller gets the error.
_RETRY_SECONDS, _RETRIES = 10, 3
_CONNECT_SECONDS, _REQUEST_SECONDS = 3, 60


class Changed(StoreUnavailable):
    """Another process wrote the object after this one had read it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where in object storage a deployment keeps its lake.

    Attributes
    ----------
    prefix
        Of every key, without slashes around it; may be empty.

    Examples
    --------
    >>> place = Address("music", "segue")
    >>> place.key("model", "newest.json"), place.uri("plays")
    ('segue/model/newest.json', 's3://music/segue/plays')
    """

    bucket: str
    prefix: str

    def key(self, *parts: str) -> str:
        """Return the key of an object of this deployment."""
        return "/".join(filter(None, (self.prefix, *parts)))

    def uri(self, *parts: str) -> str:
        """Return the address of an object of this deployment."""
        return f"{_SCHEME}{self.bucket}/{self.key(*parts)}"


def address_of(settings: Settings) -> Address | None:
    """Return the address in ``SEGUE_LAKE``; ``None``: the lake is a folder in the home.

    Raises
    ------
    ConfigurationError
        It is no address in object storage.

    Examples
    --------
    >>> address_of(Settings(lake="s3://music/segue/")).uri("plays")
    's3://music/segue/plays'
    >>> address_of(Settings()) is None
    True
    """
    if not settings.lake:
        return None
    parts = urlsplit(settings.lake)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.username:
        raise ConfigurationError(
            f"SEGUE_LAKE={settings.lake!r} must be s3://BUCKET or s3://BUCKET/PREFIX, or empty for "
            "the folder `lake` in the home"
        )
    return Address(parts.netloc, parts.path.strip("/"))


def delta_options(settings: Settings) -> dict[str, str]:
    """Return the options with which the library of Delta tables reaches the bucket.

    Its commits are conditional writes (``If-None-Match``): if two processes write one version of a
    table, the server refuses the second.
    """
    if not settings.lake:
        return {}
    options = {
        "aws_region": settings.s3_region,
        "aws_conditional_put": "etag",
        "connect_timeout": f"{_CONNECT_SECONDS}s",
        "timeout": f"{_REQUEST_SECONDS}s",
        "max_retries": str(_RETRIES),
        "retry_timeout": f"{_RETRY_SECONDS}s",
    }
    if settings.s3_endpoint:
        options |= {"aws_endpoint": settings.s3_endpoint, "aws_allow_http": "true"}
    if settings.s3_key:
        options |= {
            "aws_access_key_id": settings.s3_key,
            "aws_secret_access_key": settings.s3_secret,
        }
    return options


class Bucket:
    """The objects of one deployment. Keys are relative to the prefix of ``SEGUE_LAKE``."""

    def __init__(self, settings: Settings) -> None:
        address = address_of(settings)
        if address is None:
            raise ConfigurationError("SEGUE_LAKE names no bucket")
        self.address = address
        self._settings = settings
        self._store = _connect(settings, address)

    def read(self, key: str, *, unless: str = "") -> tuple[bytes, str] | None:
        """Return an object and its version (ETag); ``None``: it is not there.

        Parameters
        ----------
        unless
            A version. If the object still has it, return ``b""`` in place of the content.
        """
        import obstore
        from obstore.exceptions import NotModifiedError

        options: Any = {"if_none_match": unless} if unless else None
        with self._translated():
            try:
                found = obstore.get(self._store, self.address.key(key), options=options)
                return bytes(found.bytes()), found.meta["e_tag"] or ""
            except NotModifiedError:
                return b"", unless
            except FileNotFoundError:
                return None

    def download(self, key: str, path: Path) -> bool:
        """Write an object to a file, whole or not at all; ``False``: there is no such object."""
        import obstore

        with self._translated():
            try:
                found = obstore.get(self._store, self.address.key(key))
            except FileNotFoundError:
                return False
            with replacing(path) as file:
                for piece in found.stream():
                    file.write(piece)
        return True

    def write(self, key: str, content: bytes, *, instead_of: str | None) -> str:
        """Write an object unless another process changed it since the read; return its version.

        Parameters
        ----------
        instead_of
            The version that is replaced; ``None``: there must be no such object.

        Raises
        ------
        Changed
            There is another version.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if instead_of is None else {"e_tag": instead_of}
        with self._translated():
            try:
                done = obstore.put(self._store, self.address.key(key), content, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                uri = self.address.uri(key)
                raise Changed(f"{uri} was written by another process; run it again") from None
            return done["e_tag"] or ""

    def upload(self, path: Path, key: str) -> None:
        """Write a file to an object; raises :class:`FileNotFoundError` if it is gone."""
        import obstore

        with path.open("rb") as file, self._translated():
            obstore.put(self._store, self.address.key(key), file)

    def delete(self, *keys: str) -> None:
        """Delete objects; skip those that do not exist."""
        import obstore

        # S3 reports no error for a missing object, but other stores of the library do.
        with self._translated(), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, [self.address.key(key) for key in keys])

    def folders(self, key: str = "") -> list[str]:
        """Return the names of the folders below a key, sorted."""
        import obstore

        with self._translated():
            found = obstore.list_with_delimiter(self._store, self.address.key(key) or None)
            return sorted(
                prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"]
            )

    def keys(self, key: str) -> list[str]:
        """Return the keys of the objects directly below a key, relative to the prefix, sorted."""
        import obstore

        with self._translated():
            found = obstore.list_with_delimiter(self._store, self.address.key(key))
            start = len(self.address.key("x")) - 1
            return sorted(entry["path"][start:] for entry in found["objects"])

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of the library into errors of Segue."""
        from obstore import exceptions

        setting, bucket = f"SEGUE_LAKE={self._settings.lake}", self.address.bucket
        try:
            yield
        except FileNotFoundError:  # the methods above handle a missing object themselves
            raise ConfigurationError(
                f"{setting}: there is no bucket {bucket}; make it, or correct the setting"
            ) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise ConfigurationError(
                f"{setting}: the bucket {bucket} refuses this key; look at SEGUE_S3_KEY and "
                "SEGUE_S3_SECRET, and whether they may read, write, list and delete there"
            ) from None
        except exceptions.BaseError as error:
            where = self._settings.s3_endpoint or f"Amazon S3 in {self._settings.s3_region}"
            raise StoreUnavailable(
                f"{setting}: no answer from {where}: {first_line(error)}"
            ) from None


def check(settings: Settings) -> None:
    """Write a small object, check that the server refuses to write it again, and delete it.

    Does nothing if the lake is a folder in the home.

    Raises
    ------
    ConfigurationError
        The bucket is missing or refuses the key, or the server does not support conditional
        writes: without them two processes could overwrite each other's commits.
    StoreUnavailable
        The server does not answer.
    """
    if not settings.lake:
        return
    bucket = Bucket(settings)
    key = f"check-{secrets.token_hex(8)}"
    bucket.write(key, b"", instead_of=None)
    try:
        bucket.write(key, b"", instead_of=None)
    except Changed:
        pass
    else:
        raise ConfigurationError(
            f"SEGUE_LAKE={settings.lake}: the server ignores the condition of a write "
            "(If-None-Match), so two processes could overwrite each other's commits; use a server "
            "that supports it (docs/clusters.md)"
        )
    finally:
        bucket.delete(key)


def _connect(settings: Settings, address: Address) -> S3Store:
    from obstore.store import S3Store

    own: dict[str, Any] = {"region": settings.s3_region}
    if settings.s3_endpoint:
        own["endpoint"] = settings.s3_endpoint
    if settings.s3_key:
        own |= {"access_key_id": settings.s3_key, "secret_access_key": settings.s3_secret}
    return S3Store(
        address.bucket,
        client_options={
            "allow_http": True,
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "timeout": timedelta(seconds=_REQUEST_SECONDS),
        },
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
        },
        **own,
    )

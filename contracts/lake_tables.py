"""Where the Delta tables of the lake lie: in a folder of the home or in object storage.

Every process opens a table through :class:`TablePlace`, which holds the address and the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import StoreUnavailable, first_line
from contracts.object_store import Bucket, address_of, delta_options
from contracts.settings import Settings

if TYPE_CHECKING:
    from deltalake import DeltaTable, WriterProperties

_LOG = "_delta_log"


@dataclass(frozen=True, slots=True)
class TablePlace:
    """One table of the lake; it need not exist yet.

    Attributes
    ----------
    name
        As in :mod:`contracts.lake`.
    uri
        Path of its folder, or its address in object storage.
    options
        Options of the library of Delta tables: how to reach object storage.
    """

    name: str
    uri: str
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def in_folder(cls, path: Path) -> TablePlace:
        """Return the table that a folder holds."""
        return cls(path.name, str(path.absolute()))

    def within(self, seconds: float) -> TablePlace:
        """Return the same table, with so many seconds for each request to object storage."""
        return replace(self, options=self.options and self.options | {"timeout": f"{seconds:g}s"})

    def open(self) -> DeltaTable | None:
        """Return the newest version; ``None`` if the table does not exist yet.

        Raises
        ------
        StoreUnavailable
            The table cannot be read.
        """
        from deltalake import DeltaTable  # 60 MB, and not needed by every process
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(self.uri, storage_options=self.options or None)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise self.trouble(error) from None

    def trouble(self, error: Exception) -> StoreUnavailable:
        """Return an error of Segue, in one line, for an error of the library."""
        return StoreUnavailable(f"lake table {self.name}: {first_line(error)}")


def lake_table(settings: Settings, name: str) -> TablePlace:
    """Return the place of a table of a deployment.

    Examples
    --------
    >>> lake_table(Settings(lake="s3://music/segue"), "plays").uri
    's3://music/segue/plays'
    >>> lake_table(Settings(), "plays").uri.endswith("/.segue/lake/plays")
    True
    """
    address = address_of(settings)
    if address is None:
        return TablePlace.in_folder(settings.paths.lake / name)
    return TablePlace(name, address.uri(name), delta_options(settings))


def encodings(table: DeltaTable) -> WriterProperties:
    """Return how the columns of a table are written: only texts as a dictionary.

    Hardly a number of the lake repeats, and looking each up took half the time of a write.
    """
    from deltalake import ColumnProperties, WriterProperties

    text = ColumnProperties(dictionary_enabled=True)
    return WriterProperties(
        compression="SNAPPY",
        default_column_properties=ColumnProperties(dictionary_enabled=False),
        column_properties={
            column.name: text
            for column in table.schema().fields
            if str(getattr(column.type, "type", "")) == "string"
        },
    )


def lake_place(settings: Settings) -> str:
    """Return the address or the folder of the lake, to show it to people."""
    return settings.lake or str(settings.paths.lake)


def present(settings: Settings) -> Iterator[TablePlace]:
    """Yield the tables that exist, by name.

    Raises
    ------
    StoreUnavailable, ConfigurationError
        Object storage does not answer, or refuses the key.
    """
    if address_of(settings) is None:
        names = sorted(path.parent.name for path in settings.paths.lake.glob(f"*/{_LOG}"))
    else:
        bucket = Bucket(settings)
        names = [name for name in bucket.folders() if _LOG in bucket.folders(name)]
    for name in names:
        yield lake_table(settings, name)

"""Tracing as the settings ask for it; OpenTelemetry is imported only if they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contracts.errors import ConfigurationError
from contracts.settings import Settings

if TYPE_CHECKING:
    from contracts.trace_export import Traces


def open_traces(
    settings: Settings, service: str, count: Callable[[str, int], None]
) -> Traces | None:
    """Return what makes the spans of this process; ``None`` if nothing is traced.

    Parameters
    ----------
    service
        The worker's name.
    count
        Called with ``exported`` or ``dropped`` and a number of spans, from any thread.

    Raises
    ------
    ConfigurationError
        The address is not one of HTTP, or the packages are not installed.
    """
    url = settings.traces_url
    if not url:
        return None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ConfigurationError(
            f"SEGUE_TRACES_URL={url!r} must be an address like http://127.0.0.1:4318/v1/traces"
        )
    try:
        from contracts.trace_export import Traces
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"SEGUE_TRACES_URL is set but {error.name} is not installed: "
            "pip install 'segue[tracing]'"
        ) from None
    return Traces(settings, service, count)

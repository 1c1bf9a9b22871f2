"""One card of a story as a picture of its own, to keep or to send on."""

from __future__ import annotations

import textwrap

from web.charts.chart import text

_WIDTH, _HEIGHT = 720, 405
#: Background of each tint, as in the style.
_HUES = ("#dbe7ec", "#ecdfd6", "#dfe8d8", "#e8dcea", "#efe6c9", "#dcdff0")
_STYLE = (
    "text{font-family:system-ui,'DejaVu Sans',sans-serif;fill:#1d2328}"
    ".big{font-size:44px;font-weight:600}.small{font-size:22px}.foot{font-size:16px;fill:#5a646d}"
)


def card_svg(big: str, words: str, foot: str, hue: int) -> bytes:
    """Return a card: what counts, a sentence below it, and the period at the foot."""
    big, words, foot = map(_shown, (big, words, foot))
    large = textwrap.wrap(big, 28, max_lines=3, placeholder="…") or [""]
    small = textwrap.wrap(words, 58, max_lines=3, placeholder="…")
    top = _HEIGHT - 70 - 50 * len(large) - 30 * len(small)
    parts = [text(40, top + 50 * i, line, "big") for i, line in enumerate(large, 1)]
    top += 50 * len(large) + 12
    parts += [text(40, top + 30 * i, line, "small") for i, line in enumerate(small, 1)]
    parts.append(text(40, _HEIGHT - 24, foot, "foot"))
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><style>{_STYLE}</style>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{_HUES[hue % len(_HUES)]}"/>'
        f"{''.join(parts)}</svg>"
    )
    # Half a surrogate pair in a name cannot be written.
    return drawn.encode("utf-8", "replace")


def _shown(words: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in words)

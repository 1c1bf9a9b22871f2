"""Every page a person can open, with an address that shows something."""

from __future__ import annotations

LISTENER = (
    "/ui/", "/ui/plays", "/ui/stats", "/ui/stats/story/2026", "/ui/search?q=a", "/ui/stations",
    "/ui/stations?mood=calm", "/ui/taste", "/ui/connect", "/ui/me",
    "/ui/me/erase", "/ui/me/imports", "/ui/what-if",
    "/ui/stats/months", "/ui/albums?artist=Air&name=Moon+Safari", "/ui/keys", "/ui/nowhere",
)  # fmt: skip
ANALYST = (
    "/ui/analytics", "/ui/analytics/metrics/plays", "/ui/analytics/model", "/ui/analytics/lineage",
    "/ui/analytics/experiments", "/ui/analytics/quality", "/ui/ops/runs",
)  # fmt: skip
ADMIN = (
    *ANALYST, "/ui/ops",
    "/ui/ops/dead-letters?all=on", "/ui/ops/models", "/ui/ops/catalogue", "/ui/ops/suspects",
    "/ui/ops/lake", "/ui/ops/audit?verify=1", "/ui/ops/erasures", "/ui/ops/tokens",
)  # fmt: skip
#: Name -> width, height, colour scheme.
LOOKS = {
    "wide-light": (1100, 900, "light"),
    "wide-dark": (1100, 900, "dark"),
    "phone-light": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
}

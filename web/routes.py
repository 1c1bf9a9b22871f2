"""Which page answers which address, and which role it takes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.responses import Response

from web import help, sign_in
from web.analyst import experiments, figures, lineage, model, quality, reports
from web.listener import (
    account,
    catalogue,
    connect,
    history,
    imports,
    next,
    relays,
    stats,
    stories,
    taste,
    what_if,
)
from web.live import endpoints
from web.operator import catalogue as review
from web.operator import console, lake, letters, models, suspects

Handler = Callable[..., Awaitable[Response]]
_PARAMETER = re.compile(r"\{(\w+)\}")


class Page(NamedTuple):
    """A page: ``role`` is empty where nobody need have signed in.

    ``streamed``: the handler reads the form itself, as it arrives, and checks its secret.
    """

    method: str
    pattern: re.Pattern[str]
    role: str
    handler: Handler
    streamed: bool = False


def _page(method: str, path: str, role: str, handler: Handler, *, streamed: bool = False) -> Page:
    pattern = _PARAMETER.sub(lambda m: f"(?P<{m.group(1)}>[^/]+)", re.sub(r"\.", r"\\.", path))
    return Page(method, re.compile(pattern), role, handler, streamed)


ROUTES: tuple[Page, ...] = (
    _page("GET", "/ui/login", "", sign_in.form),
    _page("POST", "/ui/login", "", sign_in.sign_in),
    _page("GET", "/ui/link/{code}", "", sign_in.link),
    _page("POST", "/ui/link/{code}", "", sign_in.follow_link),
    _page("GET", "/ui/keys", "", help.keys),
    _page("POST", "/ui/logout", "", sign_in.sign_out),
    _page("GET", "/ui/", "listener", next.page),
    _page("GET", "/ui/list", "listener", next.fragment),
    _page("GET", "/ui/list.jspf", "listener", next.jspf),
    _page("GET", "/ui/list.m3u", "listener", next.m3u),
    _page("GET", "/ui/what-if", "listener", what_if.page),
    _page("GET", "/ui/recent", "listener", next.recent),
    _page("GET", "/ui/why/{track}", "listener", next.why),
    _page("POST", "/ui/feedback", "listener", taste.say),
    _page("GET", "/ui/taste", "listener", taste.page),
    _page("POST", "/ui/taste/artist", "listener", taste.artist),
    _page("GET", "/ui/plays", "listener", history.page),
    _page("POST", "/ui/plays", "listener", history.add),
    _page("GET", "/ui/plays/{event}", "listener", history.one),
    _page("POST", "/ui/plays/{event}", "listener", history.correct),
    _page("POST", "/ui/plays/{event}/delete", "listener", history.delete),
    _page("GET", "/ui/stats", "listener", stats.page),
    _page("GET", "/ui/stats/story/{period}", "listener", stories.story),
    _page("GET", "/ui/stats/story/{period}/{card}.svg", "listener", stories.picture),
    _page("GET", "/ui/stats/months", "listener", stories.months),
    _page("GET", "/ui/search", "listener", catalogue.search),
    _page("GET", "/ui/artists/{artist}", "listener", catalogue.artist),
    _page("GET", "/ui/albums", "listener", catalogue.album),
    _page("GET", "/ui/tracks/{track}", "listener", catalogue.track),
    _page("GET", "/ui/stations", "listener", catalogue.stations),
    _page("GET", "/ui/connect", "listener", connect.page),
    _page("POST", "/ui/connect", "listener", connect.make_token),
    _page("GET", "/ui/me", "listener", account.page),
    _page("POST", "/ui/me/settings", "listener", account.set_settings),
    _page("POST", "/ui/me/tokens", "listener", account.make_token),
    _page("POST", "/ui/me/tokens/{token}/revoke", "listener", account.revoke),
    _page("GET", "/ui/me/export", "listener", account.export),
    _page("GET", "/ui/me/erase", "listener", account.erase_form),
    _page("POST", "/ui/me/erase", "listener", account.erase),
    _page("POST", "/ui/me/relays/{service}", "listener", relays.change),
    _page("GET", "/ui/me/imports", "listener", imports.page),
    _page("POST", "/ui/me/imports", "listener", imports.upload, streamed=True),
    _page("GET", "/ui/me/imports/{upload}", "listener", imports.one),
    _page("GET", "/ui/me/imports/{upload}/refused", "listener", imports.refused),
    _page("GET", "/ui/erasures/{request}", "", account.erasure),
    _page("GET", "/ui/live", "listener", endpoints.live),
    _page("GET", "/ui/analytics", "analyst", figures.overview),
    _page("GET", "/ui/analytics/metrics/{metric}", "analyst", figures.one),
    _page("GET", "/ui/analytics/lineage", "analyst", lineage.page),
    _page("GET", "/ui/analytics/lineage/{node}", "analyst", lineage.one),
    _page("GET", "/ui/analytics/quality", "analyst", quality.page),
    _page("GET", "/ui/analytics/model", "analyst", model.page),
    _page("GET", "/ui/analytics/experiments", "analyst", experiments.page),
    _page("GET", "/ui/analytics/experiments/{experiment}", "analyst", experiments.one),
    _page("POST", "/ui/analytics/experiments/{experiment}/{deed}", "admin", experiments.change),
    _page("GET", "/ui/analytics/{report}", "analyst", reports.report),
    _page("GET", "/ui/analytics/{report}/data.{kind}", "analyst", reports.download),
    _page("GET", "/ui/ops", "admin", console.page),
    _page("GET", "/ui/ops/live", "admin", endpoints.console),
    _page("GET", "/ui/ops/dead-letters", "admin", letters.page),
    _page("POST", "/ui/ops/dead-letters", "admin", letters.replay_many),
    _page("GET", "/ui/ops/dead-letters/{letter}", "admin", letters.one),
    _page("POST", "/ui/ops/dead-letters/{letter}/replay", "admin", letters.replay_one),
    _page("GET", "/ui/ops/models", "admin", models.page),
    _page("POST", "/ui/ops/models", "admin", models.promote),
    _page("POST", "/ui/ops/models/rollback", "admin", models.roll_back),
    _page("GET", "/ui/ops/catalogue", "admin", review.page),
    _page("POST", "/ui/ops/catalogue", "admin", review.decide),
    _page("GET", "/ui/ops/suspects", "admin", suspects.page),
    _page("POST", "/ui/ops/suspects", "admin", suspects.release),
    _page("GET", "/ui/ops/lake", "admin", lake.page),
    _page("GET", "/ui/ops/lake/{table}", "admin", lake.one),
    _page("GET", "/ui/ops/runs", "analyst", console.runs),
    _page("GET", "/ui/ops/runs/{run}", "analyst", console.one_run),
    _page("GET", "/ui/ops/audit", "admin", console.audit),
    _page("GET", "/ui/ops/erasures", "admin", console.erasures),
    _page("GET", "/ui/ops/tokens", "admin", console.tokens),
    _page("POST", "/ui/ops/tokens", "admin", console.make_token),
    _page("POST", "/ui/ops/tokens/{token}/revoke", "admin", console.revoke),
)

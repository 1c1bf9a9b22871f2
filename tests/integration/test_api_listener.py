"""What if, the life of a play, months and albums, on the whole stack."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_other_contexts_the_life_of_a_play_and_months(stack: RunningStack) -> None:
    token = stack.token_for("wanda")
    headers = {"authorization": f"Bearer {token}"}
    now = int(time.time() * 1000) - 600_000
    plays: list[dict[str, Any]] = [
        {"artist": f"Artist {i % 5}", "title": f"Song {i % 9}", "album": "One",
         "played_at": now - 86_400_000 * (40 if i < 5 else 0) + 10_000 * i}
        for i in range(40)
    ]  # fmt: skip
    plays[0] |= {"ms_played": 86_400_000, "duration_ms": 200_000}
    plays[1] |= {"ms_played": 2_000, "duration_ms": 200_000}
    with httpx.Client(base_url=stack.api, headers=headers, timeout=60) as client:
        answer = client.post("/v1/plays", json={"plays": plays})
        assert answer.json()["accepted"] == 40
        stack.wait_applied(90)
        base = "/v1/users/wanda"

        def ready() -> bool:
            return client.get(f"{base}/what-if").status_code == 200

        assert wait_until(ready, 90, 0.5)
        history = client.get(f"{base}/plays", params={"limit": 5, "album": "ONE"}).json()["plays"]
        assert len(history) == 5
        last = history[0]["event_id"]
        same = client.get(f"{base}/what-if", params={"limit": 5}).json()
        assert same["now"] == same["then"]
        assert all(track["place"] == track["other"] for track in same["now"])
        known = same["now"][0]["track_id"]
        hidden = client.get(f"{base}/what-if", params={"hide": known, "limit": 50}).json()
        assert known not in {track["track_id"] for track in hidden["then"]}
        without = client.get(f"{base}/what-if", params={"without": last, "at": "2099-01-01"})
        assert without.status_code == 400
        assert client.get(f"{base}/what-if", params={"without": last}).status_code == 200
        played = client.get(f"{base}/what-if", params={"play": known}).json()
        assert played["then"]
        assert client.get(f"{base}/what-if", params={"play": "no"}).json()["error"]["field"] == (
            "play"
        )

        def arrived() -> bool:
            found = client.get(f"{base}/plays/{last}/life").json()
            done = {stage["name"]: stage["done"] for stage in found["stages"]}
            return found["offset"] is not None and all(
                done[name] for name in ("acknowledged", "log", "lists", "model", "lake", "history")
            )

        assert wait_until(arrived, 90, 0.5), client.get(f"{base}/plays/{last}/life").text
        first, second = (
            time.strftime("%Y-%m-%d", time.gmtime(play["played_at"] / 1000)) for play in plays[:2]
        )
        totals = client.get(f"{base}/stats", params={"from": first, "to": second}).json()["totals"]
        assert totals["hours"] == 0.1, "at most the length of the track"
        assert totals["skips"] == 1, "what was left after a hundredth of it"
        months = client.get(f"{base}/stats/months", params={"tz": "Europe/Berlin"}).json()
        assert len(months["months"]) == 12
        assert sum(sum(row["plays"]) for row in months["artists"]) == 40
        assert client.get(f"{base}/stats/months", params={"tz": "Mars"}).status_code == 400
        missing = client.get("/v1/albums", params={"artist": "Artist 1", "name": "One"})
        assert missing.status_code == 404
        other = {"authorization": f"Bearer {stack.token_for('spy')}"}
        for path in (f"{base}/what-if", f"{base}/plays/{last}/life", f"{base}/stats/months"):
            assert client.get(path, headers=other).status_code == 403

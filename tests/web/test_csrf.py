"""The two proofs that a POST comes from one of our own pages."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from web.csrf import FIELD, HEADER, mask, matches, same_origin, unmask

SECRET = "00ff" * 8


def request(**headers: str) -> Request:
    """Return a request with these headers (``_`` for ``-``)."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "https://music.example"}, False),
        ({"origin": "https://music.example"}, True),
        ({"origin": "http://music.example"}, True),
        ({"origin": "https://music.example:8443"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, True),
    ],
)
def test_the_browser_names_the_origin(headers: dict[str, str], ours: bool) -> None:
    assert same_origin(request(host="music.example", **headers)) is ours


def test_without_a_host_no_origin_is_ours() -> None:
    assert not same_origin(request(origin="https://music.example"))
    assert not same_origin(request(origin="None"))


def test_a_secret_is_masked_differently_each_time() -> None:
    masks = {mask(SECRET) for _ in range(20)}
    assert len(masks) == 20
    assert {unmask(text) for text in masks} == {SECRET}
    assert {len(text) for text in masks} == {2 * len(SECRET)}
    for wrong in ("", "no hexadecimal", "abc"):
        assert unmask(wrong) == ""
    assert unmask("0102ff") == "03"  # an odd number of bytes


def test_the_secret_is_in_the_header_or_in_the_form() -> None:
    right, wrong = mask(SECRET), mask("11" * 16)
    assert matches(request(**{HEADER: right}), {}, SECRET)
    assert matches(request(), {FIELD: right}, SECRET)
    assert matches(request(**{HEADER: right}), {FIELD: wrong}, SECRET)
    assert not matches(request(**{HEADER: wrong}), {FIELD: right}, SECRET)
    assert not matches(request(), {}, SECRET)

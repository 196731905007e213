"""GET /: one page that loads nothing, runs its own script alone and shows texts as texts."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx


async def page(client: httpx.AsyncClient) -> httpx.Response:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response


async def test_the_page_is_there_without_a_key(client: httpx.AsyncClient) -> None:
    text = (await page(client)).text
    assert text.startswith("<!doctype html>")
    assert "<title>Sluice</title>" in text
    assert "dashboard.js -->" not in text
    assert "dashboard.css -->" not in text
    head = await client.head("/")
    assert (head.status_code, head.content) == (200, b"")


async def test_it_refers_to_nothing_elsewhere(client: httpx.AsyncClient) -> None:
    text = (await page(client)).text
    outside = re.findall(r"https?://[^\s'\"]+", text)
    assert set(outside) == {"http://www.w3.org/2000/svg"}  # the name of SVG, which nobody fetches
    assert not re.search(r"\bsrc=|@import|url\(", text)


async def test_the_policy_allows_its_script_and_style_and_no_other(
    client: httpx.AsyncClient,
) -> None:
    response = await page(client)
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[directive] == f"'sha256-{digest}'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


async def test_nothing_shown_can_become_markup(client: httpx.AsyncClient) -> None:
    text = (await page(client)).text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc", text
    )
    assert not re.search(r"<[^>]+\son\w+=", text)  # handlers in markup
    assert not re.search(r"<[^>]+\sstyle=", text)  # which the policy would drop


async def test_a_key_stays_in_the_tab_and_out_of_addresses(client: httpx.AsyncClient) -> None:
    text = (await page(client)).text
    assert "localStorage" not in text
    assert "document.cookie" not in text
    assert "sessionStorage" in text
    assert "authorization: `Bearer ${key}`" in text

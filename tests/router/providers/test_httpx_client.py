"""A caller's own httpx client carries the calls, with what it was given."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
import trustme
from httpx_aiohttp import AiohttpTransport

from router.chat import ChatRequest, Completion
from router.config import ModelConfig, TimeoutConfig
from router.errors import ConfigError, UpstreamError
from router.providers.client import ModelClient
from router.providers.transport import Transport
from tests.upstream import Behaviour, Upstream, answer, cut, hang, refused_url, send

from .conftest import KEY

REPLY = {"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}


async def ask(client: httpx.AsyncClient, api_base: str, **environ: str) -> Completion:
    timeout = TimeoutConfig(connect_s=1, total_s=0.2)
    config = ModelConfig(name="m", api_base=api_base, api_key=KEY, max_retries=0, timeout=timeout)
    asked = ModelClient(config, Transport(http_client=client), environ=environ)
    return await asked.complete(ChatRequest.of("Hi"))


async def cause_of(client: httpx.AsyncClient, api_base: str) -> str:
    with pytest.raises(UpstreamError) as caught:
        await ask(client, api_base)
    assert KEY not in str(caught.value)
    return caught.value.cause


async def test_its_transport_is_used_as_it_is() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=REPLY)

    mock = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=mock, headers={"x-team": "blue"}) as client:
        result = await ask(client, "https://models.invalid/v1", ALL_PROXY="socks5://p:1")
    assert result.text == "Paris."
    (request,) = seen
    assert str(request.url) == "https://models.invalid/v1/chat/completions"
    assert json.loads(request.content)["model"] == "m"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-team"] == "blue"
    assert request.headers["accept-encoding"] == "identity"


async def test_its_certificates_count_on_both_sides() -> None:
    authority = trustme.CA()
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.verify_mode = ssl.CERT_REQUIRED
    known = ssl.create_default_context()
    for context in (served, known):
        authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    authority.issue_cert("us@example.org").configure_cert(known)
    with Upstream(tls=served) as upstream:
        async with httpx.AsyncClient(verify=known) as client:
            assert (await ask(client, upstream.url)).text == "Hello."
        stranger = ssl.create_default_context()
        authority.configure_trust(stranger)
        async with httpx.AsyncClient(verify=stranger) as client:
            assert await cause_of(client, upstream.url) in ("disconnected", "tls")


async def test_its_proxy_counts() -> None:
    with Upstream() as proxy:
        async with httpx.AsyncClient(proxy=proxy.origin) as client:
            await ask(client, "http://models.invalid/v1")
    assert proxy.requests[0].path == "http://models.invalid/v1/chat/completions"


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (cut(answer("one two three")), "disconnected"),
        (hang(), "timeout"),
        (send(b"", status=302, location="/login"), "protocol"),
    ],
)
async def test_a_client_over_aiohttp(behaviour: Behaviour, cause: str) -> None:
    transport = AiohttpTransport(verify=ssl.create_default_context())
    with Upstream(behaviour) as upstream:
        async with httpx.AsyncClient(transport=transport) as client:
            assert await cause_of(client, refused_url()) == "connect"
            assert await cause_of(client, upstream.url) == cause
        assert await upstream.all_closed()


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (httpx.ConnectTimeout, "timeout"),
        (httpx.ReadTimeout, "timeout"),
        (httpx.ProxyError, "connect"),
        (httpx.ConnectError, "connect"),
        (httpx.ReadError, "disconnected"),
        (httpx.RemoteProtocolError, "disconnected"),
        (httpx.UnsupportedProtocol, "unknown"),
    ],
)
async def test_what_a_transport_raises_is_told_without_its_words(
    error: Callable[[str], httpx.HTTPError], cause: str
) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise error(KEY)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        assert await cause_of(client, "http://models.invalid/v1") == cause


async def test_connections_that_are_refused_at_every_address() -> None:
    refused = [ConnectionRefusedError(), ConnectionRefusedError()]

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(KEY) from ExceptionGroup("all", refused)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(UpstreamError, match="connection refused"):
            await ask(client, "http://models.invalid/v1")


async def test_a_client_that_cannot_be_used_is_refused() -> None:
    client = httpx.AsyncClient()
    with pytest.raises(ConfigError, match="own TLS settings"):
        Transport(http_client=client, tls=ssl.create_default_context())
    await client.aclose()
    with pytest.raises(ConfigError, match="closed") as caught:
        await ask(client, "http://127.0.0.1:1/v1")
    assert caught.value.param == "http_client"
    with httpx.Client() as wrong, pytest.raises(ConfigError, match="found Client"):
        Transport(http_client=wrong)  # type: ignore[arg-type]


async def test_many_at_once_wait_for_the_clients_own_limits() -> None:
    limits = httpx.Limits(max_connections=2)
    with Upstream() as upstream:
        async with httpx.AsyncClient(limits=limits) as client:
            results = await asyncio.gather(*(ask(client, upstream.url) for _ in range(20)))
            assert upstream.open_connections <= 2
    assert {result.text for result in results} == {"Hello."}


def test_httpx_is_not_imported_unless_a_client_is_given() -> None:
    script = "import sys, router.providers.client; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

"""Everything that a gateway can be asked, well and badly, with marks in it that are searched for
in whatever it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.behaviours import Behaviour, answer, send, send_events, send_json
from tests.serving.hardening.chat_samples import (
    ANTHROPIC_FIELDS,
    ANTHROPIC_MESSAGES,
    OPENAI_FIELDS,
    OPENAI_MESSAGES,
    SMALLEST,
)
from tests.serving.hardening.faulty_gateway import FAULTS
from tests.serving.hardening.hardened_gateway import play_provider
from tests.serving.hardening.values import places
from tests.upstream import Upstream

__all__ = ["ANSWER", "PROMPT", "SECRETS", "Asker", "Said"]

SECRETS = {
    "provider key": "pr0vider-key-Zq81",
    "another provider's key": "pr0vider-key-Xw27",
    "header of a model": "m0del-header-Lk55",
    "key in an address": "addr3ss-key-Tv09",
    "admin key": "adm1n-key-Rb64",
    "password of the database": "p4ssword-Gh73",
    "password of Redis": "p4ssword-Jd18",
}
PROMPT, ANSWER = "pr0mpt-mark-Aa11", "answ3r-mark-Bb22"


@dataclass
class Said:
    """All that was said: by commands and the service (`printed`), and in answers to requests, of
    which `refusals` are those that are no model's."""

    printed: str = ""
    answers: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    kept: str = ""

    def hear(self, response: httpx.Response) -> httpx.Response:
        """Keep what a response says, headers and all."""
        lines = [f"{name}: {value}" for name, value in response.headers.items()]
        text = "\n".join([str(response.status_code), *lines, response.text])
        (self.answers if response.status_code == 200 else self.refusals).append(text)
        return response


class Asker:
    """Asks a gateway for everything there is."""

    def __init__(self, said: Said, http: httpx.Client, upstream: Upstream, key: str) -> None:
        self.said = said
        self.http = http
        self.upstream = upstream
        self.headers = {"x-api-key": key}

    def ask_everything(self) -> None:
        self.chats()
        self.bad_requests()
        self.bad_upstreams()
        self.faults()
        self.pages()

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return self.said.hear(self.http.post(path, json=body, headers=headers, **more))

    def chat(self, model: str, **more: Any) -> httpx.Response:
        message = {"role": "user", "content": f"What is {PROMPT}?"}
        body = {"model": model, "messages": [message], "max_tokens": 50, **more}
        return self.post("/v1/chat/completions", body)

    def chats(self) -> None:
        """Requests that are answered."""
        for model in ("auto", "gpt-4o", "claude"):
            for streamed in (False, True):
                assert self.chat(model, stream=streamed).status_code == 200
        messages = [{"role": "user", "content": PROMPT}]
        body = {"model": "auto", "messages": messages, "max_tokens": 50, "system": PROMPT}
        first = self.post("/v1/messages", body)
        assert first.status_code == 200
        for path, more in (
            ("/v1/route", {"prompt": PROMPT}),
            ("/v1/validate", {"prompt": PROMPT, "draft": ANSWER}),
            ("/v1/embeddings", {"model": "embed", "input": PROMPT}),
            ("/v1/embeddings", {"model": "sluice-encoder", "input": PROMPT}),
        ):
            assert self.post(path, more).status_code == 200
        label = {"request_id": first.headers["x-sluice-request-id"], "correct": True}
        assert self.post("/v1/feedback", {**label, "comment": "fine"}).status_code == 201

    def bad_requests(self) -> None:
        """Everything that can be refused, with the prompt where something else is expected."""
        tables = (
            ("/v1/chat/completions", "claude", OPENAI_MESSAGES, OPENAI_FIELDS),
            ("/v1/messages", "gpt-4o-mini", ANTHROPIC_MESSAGES, ANTHROPIC_FIELDS),
        )
        for path, model, messages, fields in tables:
            base = {**SMALLEST, "model": model}
            samples = [{"messages": [one]} for one in messages]
            samples += [{name: value} for name, values in fields.items() for value in values]
            for sample in samples:
                for changed in marked({**base, **sample}):
                    self.post(path, changed)
        for path in ("/v1/route", "/v1/validate", "/v1/embeddings", "/v1/feedback"):
            sample = {"prompt": "x", "draft": "x", "model": "embed", "input": "x"}
            for changed in marked({**sample, "request_id": "x", "finish_reason": "x", "tools": []}):
                self.post(path, changed)
        for content in (f'{{"model": "{PROMPT}', f"[{PROMPT}]", PROMPT, f'"{PROMPT}"'):
            for kind in ("application/json", PROMPT):
                self.said.hear(
                    self.http.post(
                        "/v1/chat/completions",
                        content=content,
                        headers={**self.headers, "content-type": kind},
                    )
                )
        for name in ("x-sluice-target-quality", "cache-control", "x-sluice-conversation"):
            self.post("/v1/chat/completions", SMALLEST, headers={name: PROMPT})
        for path in (f"/v1/models/{PROMPT}", f"/{PROMPT}", f"/v1/analytics?from={PROMPT}"):
            self.said.hear(self.http.get(path, headers=self.headers))

    def bad_upstreams(self) -> None:
        """Providers that quote the request, the answer and the key in what they refuse."""
        quote = f"{PROMPT} {ANSWER} {SECRETS['provider key']}"
        chunk = {"choices": [{"index": 0, "delta": {"content": "Hm."}}]}
        behaviours: list[Behaviour] = [
            send_json({"error": {"message": quote, "code": quote, "type": quote}}, status=status)
            for status in (400, 401, 404, 429, 500)
        ]
        word = SECRETS["provider key"]
        behaviours += [
            # Of what providers write only a short code is told, so it is not to hold the key.
            send_json({"error": {"message": quote, "code": word, "type": "x"}}, status=400),
            send_json({"error": {"message": quote, "code": word}}),
            send(quote.encode(), status=502, content_type="text/html"),
            send(quote.encode(), content_type="text/html"),
            send(quote.encode(), content_type=f"text/{PROMPT}"),
            send(quote.encode()),
            send(b"{}", status=302, location=f"http://127.0.0.1:1/{PROMPT}"),
            send_json({"choices": [{"message": {"content": None, "refusal": None}}], "x": quote}),
            send_json({"choices": [{"message": {"content": [quote]}, "finish_reason": quote}]}),
            send_json({"type": "error", "error": {"type": quote, "message": quote}}),
            send_events(chunk, {"error": {"message": quote, "code": quote}}),
            send_events(chunk, f"data: {quote}\n\n".encode()),
            send_events(chunk, f"event: {quote}\ndata: {{}}\n\n".encode(), done=False),
            answer(ANSWER, finish_reason="content_filter"),
            answer("", finish_reason="length"),
        ]
        for behaviour in behaviours:
            for model in ("gpt-4o-mini", "claude", "auto"):
                for streamed in (False, True):
                    self.upstream.then(behaviour)
                    reply = self.chat(model, stream=streamed)
                    if streamed and reply.status_code == 200:
                        events = reply.text.split("\n\n")
                        self.said.refusals += [one for one in events if '"error"' in one]
            self.upstream.then(behaviour)
            self.post("/v1/embeddings", {"model": "embed", "input": PROMPT})
            self.upstream.then(play_provider(ANSWER))
            for model in ("gpt-4o-mini", "gpt-4o", "claude"):  # closes their circuits
                self.chat(model)

    def faults(self) -> None:
        """Faults of ours, whose exceptions quote the prompt."""
        for name in FAULTS:
            for streamed in (False, True):
                message = {"role": "user", "content": f"fault:{name} {PROMPT}"}
                body = {"model": "gpt-4o-mini", "messages": [message], "stream": streamed}
                try:
                    self.post("/v1/chat/completions", body)
                except httpx.RemoteProtocolError:
                    assert streamed  # it broke off, as nothing else could be said any more
        text = f"fault: {PROMPT}"
        for path, more in (
            ("/v1/route", {"prompt": text}),
            ("/v1/validate", {"prompt": text, "draft": ANSWER}),
            ("/v1/embeddings", {"model": "embed", "input": text}),
            ("/v1/feedback", {"request_id": "x", "correct": True, "comment": text}),
        ):
            assert self.post(path, more).status_code == 500

    def pages(self) -> None:
        """What the admin and everybody may look at."""
        admin = {"x-api-key": SECRETS["admin key"]}
        listed = self.http.get("/admin/keys", headers=admin).json()["data"]
        paths = [
            *("/admin/keys", f"/admin/keys/{listed[0]['id']}", "/admin/budgets", "/admin/models"),
            *(
                "/metrics",
                "/v1/analytics?group_by=user",
                "/v1/analytics?group_by=key",
                "/v1/models",
            ),
            *("/", "/openapi.json", "/health/live", "/health/ready"),
        ]
        for path in paths:
            response = self.said.hear(self.http.get(path, headers=admin))
            assert response.status_code == 200, path
            self.said.pages.append(response.text)
        for key in SECRETS.values():  # sent as keys of the gateway, which all but one are not
            self.said.hear(self.http.get("/admin/keys", headers={"x-api-key": key}))
            self.said.hear(self.http.get(f"/admin/keys/{key}", headers=admin))
            self.said.hear(self.http.get(f"/v1/{key}", headers=admin))


def marked(value: Any) -> Iterator[Any]:
    """`value` with PROMPT in place of each text in it, one at a time; users' names are kept."""
    texts = [
        (holder, key)
        for holder, key in places(value)
        if isinstance(holder[key], str) and key not in ("user", "user_id")
    ]
    for holder, key in texts:
        before = holder[key]
        holder[key] = PROMPT
        yield value
        holder[key] = before

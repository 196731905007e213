"""Keys, passwords, prompts and answers stay where they belong: a gateway is asked for everything,
well and badly, breaks on purpose, and then all that it has said is searched for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.cli import COMMAND_GROUP, run
from router.errors import SluiceError
from tests.behaviours import Behaviour, answer, send, send_events, send_json
from tests.key_databases import postgres_database
from tests.server_process import ServerProcess, free_port
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
from tests.soak.gateway_process import write_config
from tests.upstream import Upstream

ROOT = Path(__file__).resolve().parents[3]
SLUICE = str(Path(sys.executable).with_name("sluice"))

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
ENVIRON = {
    "PROVIDER_KEY": SECRETS["provider key"],
    "ANTHROPIC_API_KEY": SECRETS["another provider's key"],
    "ADMIN_KEY": SECRETS["admin key"],
    "SLUICE_LOG_LEVEL": "debug",
}


@dataclass
class _Said:
    """All that was said: by commands and the service (`printed`), and in answers to requests, of
    which `refusals` are those that are no model's."""

    printed: str = ""
    answers: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    kept: bytes = b""

    def hear(self, response: httpx.Response) -> httpx.Response:
        """Keep what a response says, headers and all."""
        lines = [f"{name}: {value}" for name, value in response.headers.items()]
        text = "\n".join([str(response.status_code), *lines, response.text])
        (self.answers if response.status_code == 200 else self.refusals).append(text)
        return response


def configure(folder: Path, upstream: Upstream, database: str) -> Path:
    """A configuration with a secret wherever there may be one."""
    base = {"max_tokens": 500, "max_retries": 0, "input_cost": 1.0, "output_cost": 2.0}
    secret_base = f"{upstream.url}?key={SECRETS['key in an address']}"
    models = [
        {"name": "gpt-4o-mini", "provider": "local", "api_base": upstream.url, **base},
        {"name": "gpt-4o", "provider": "local", "api_base": secret_base, **base},
        {"name": "claude", "provider": "anthropic", "api_base": upstream.origin, **base},
    ]
    for number, one in enumerate(models[:2]):
        one["api_key"] = "${PROVIDER_KEY}"
        one["headers"] = {f"x-secret-{number}": SECRETS["header of a model"]}
    redis = f"redis://:{SECRETS['password of Redis']}@127.0.0.1:{free_port()}/0"
    embed = {**models[0], "name": "embed"}
    return write_config(
        folder,
        upstream.url,
        models=models,
        embeddings=[embed],
        store={"url": database},
        redis={"url": redis},
        auth={"mode": "keys", "admin_key": "${ADMIN_KEY}"},
        budget={"daily_limit": 1000},
    )


def run_sluice(*arguments: str) -> tuple[str, str]:
    """What a command prints, on standard output and as errors."""
    ran = subprocess.run(
        [SLUICE, *arguments],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.stdout, ran.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> _Said:
    folder = tmp_path_factory.mktemp("secrets")
    with Upstream(play_provider(ANSWER)) as upstream, postgres_database() as database:
        password = SECRETS["password of the database"]
        before, found, after = database.partition("@")
        assert found
        url = f"{before.split(':', 2)[0]}://postgres:{password}@{after}"
        config = configure(folder, upstream, url)
        said = _Said()
        created = run_sluice("keys", "create", "--name", "team", "--config", str(config), "--json")
        tenant = json.loads(created[0])["key"]
        said.printed += created[1]
        said.secrets["secret of a key"] = tenant.rpartition("-")[2]
        port = free_port()
        command = [sys.executable, "-m", "tests.serving.hardening.faulty_gateway"]
        server = ServerProcess(
            [*command, str(config), str(port)],
            port=port,
            folder=folder,
            ready_path="/health/ready",
            environ={**ENVIRON, "PYTHONPATH": str(ROOT)},
        )
        with server, httpx.Client(base_url=server.origin, timeout=20) as http:
            _Asker(said, http, upstream, tenant).ask_everything()
        for arguments in (
            *(("keys", "list"), ("keys", "list", "--json")),
            *(("serve", "--check"), ("serve", "--check", "--json")),
        ):
            said.printed += "".join(run_sluice(*arguments, "--config", str(config)))
        said.printed += (folder / "server.log").read_text(encoding="utf-8")
        dump = ["pg_dump", "--data-only", "--inserts", database]
        said.kept = subprocess.run(dump, capture_output=True, check=True).stdout
    return said


class _Asker:
    """Asks a gateway for everything there is."""

    def __init__(self, said: _Said, http: httpx.Client, upstream: Upstream, key: str) -> None:
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


def test_everything_was_asked(said: _Said) -> None:
    """Or there would be nothing to find."""
    assert len(said.answers) > 100
    assert len(said.refusals) > 200
    assert sum(answer.startswith("500") for answer in said.refusals) >= 10
    assert said.printed.count("RuntimeError") >= 10  # faults are in the log, with their places
    assert '"level":"debug"' in said.printed or '"level":"info"' in said.printed
    assert "keys" in said.printed


def test_no_secret_is_told(said: _Said) -> None:
    everything = "\n".join([said.printed, *said.answers, *said.refusals, *said.pages])
    for what, secret in said.secrets.items():
        assert secret not in everything, f"{what}: {around(everything, secret)}"


@pytest.mark.parametrize("mark", [PROMPT, ANSWER])
def test_no_prompt_and_no_answer_is_in_the_log_or_an_error(said: _Said, mark: str) -> None:
    assert mark not in said.printed, around(said.printed, mark)
    for page in (*said.pages, *said.refusals):
        assert mark not in page, around(page, mark)


def test_the_store_keeps_neither(said: _Said) -> None:
    assert b"INSERT" in said.kept
    for what in (*said.secrets.values(), PROMPT, ANSWER):
        assert what.encode() not in said.kept, around(said.kept.decode(), what)


def around(text: str, mark: str) -> str:
    """Where in a text it stands."""
    at = text.index(mark)
    return text[max(0, at - 300) : at + 200]


WRONG_SECTIONS: list[dict[str, Any]] = [
    {"store": {"url": "postgresql://me:{}@127.0.0.1:1/x"}},
    {"store": {"url": "postgresql://me:{}@127.0.0.1:notaport/x"}},
    {"store": {"url": "mysql://me:{}@127.0.0.1/x"}},
    {"redis": {"url": "http://:{}@127.0.0.1"}},
    {"redis": {"url": "redis://:{}@127.0.0.1:1"}},
    {"redis": {"url": "redis://:{}@127.0.0.1:notaport"}},
    {"auth": {"mode": "keys", "admin_key": "{} with blanks"}},
    {"auth": {"mode": "keys", "admin_key": ["{}"]}},
    {"auth": {"mode": "{}"}},
    {"models": [{"name": "m", "provider": "local", "api_base": "x://{}", "api_key": "{}"}]},
    {"models": [{"name": "m", "provider": "unheard-of", "api_key": "{}", "keys": "{}"}]},
    {"tracing": {"endpoint": "x://me:{}@127.0.0.1"}},
]


@pytest.mark.parametrize("debugged", [False, True])
@pytest.mark.parametrize("arguments", [("serve", "--check"), ("keys", "list")])
@pytest.mark.parametrize("section", WRONG_SECTIONS)
def test_a_wrong_configuration_is_refused_without_its_values(
    tmp_path: Path,
    section: dict[str, Any],
    arguments: tuple[str, ...],
    debugged: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mark = "s3cret-Yy77"
    written = json.loads(json.dumps(section).replace("{}", mark))
    config = write_config(tmp_path, "http://127.0.0.1:1/v1", **written)
    printed = ""
    if debugged:
        monkeypatch.setenv("SLUICE_DEBUG", "1")
    try:
        run([*arguments, "--config", str(config)], entry_points(group=COMMAND_GROUP))
    except SluiceError:
        printed = traceback.format_exc()
    printed += "".join(capsys.readouterr())
    assert printed.strip()
    assert mark not in printed, printed

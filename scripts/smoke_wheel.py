"""Install a built wheel in a fresh environment outside the checkout and try it there.

    python scripts/smoke_wheel.py dist/sluice_router-0.1.0-py3-none-any.whl

Checks that the wheel works by itself on the artifact it carries: the command line answers, the
service starts, routes, answers a chat through a model on loopback, shows its page and stops, an
agent asks the same model, torch is not pulled in, and importing `router` is fast. Needs only the
standard library and a package index; the first thing that is wrong ends it with a line.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IMPORT_LIMIT_MS = 150.0
READY_LIMIT_S = 30.0  # generous for a cold disk; the bar itself is a benchmark's
STOP_LIMIT_S = 15.0
CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"

TIME_IMPORT = (
    "import time; start = time.perf_counter(); import router; "
    "print((time.perf_counter() - start) * 1000)"
)
FIND_PACKAGES = (
    "import importlib.metadata as m; "
    "print(' '.join(sorted(d.metadata['Name'].lower() for d in m.distributions())))"
)


ASK = """
import asyncio
from router import CascadeAgent, ModelConfig

async def main():
    models = [ModelConfig(name=n, provider="local", api_base={url!r}, cost=c)
              for n, c in (("gpt-4o-mini", 0.001), ("gpt-4o", 0.01))]
    result = await CascadeAgent(models=models).run("What is the capital of France?")
    print(result.content, result.model_used, result.total_cost)

asyncio.run(main())
"""


class SmokeError(Exception):
    """The installed wheel does not do what it should."""


class Installed:
    """A wheel installed in an environment of its own, with a working folder of its own."""

    def __init__(self, wheel: Path, home: Path) -> None:
        self.bin = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
        self.cwd = home / "elsewhere"
        self.cwd.mkdir()
        # Nothing of the caller's may lend a hand: no path, no configured models folder.
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "SLUICE", "VIRTUAL_ENV"))
        }
        venv.create(home / "venv", with_pip=True)
        self.call("python", "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), str(wheel))

    def call(self, program: str, *arguments: str) -> str:
        """Standard output of a program of the environment; SmokeError if it fails."""
        done = self.attempt(program, *arguments)
        if done.returncode != 0:
            line = " ".join([program, *arguments])
            raise SmokeError(f"`{line}` left with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What a program of the environment did, whether it worked or not."""
        return subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.cwd,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )


def check_command_line(installed: Installed) -> None:
    """`--version`, `models list` and `route` answer on the carried artifact."""
    version = installed.call("sluice", "--version").strip()
    listing = json.loads(installed.call("sluice", "models", "list", "--json"))
    if not listing["current"]:
        raise SmokeError(f"the wheel carries no artifact: {listing}")
    plan = json.loads(installed.call("sluice", "route", "hello", "--json"))
    if "plan" not in plan or plan.get("artifact") != listing["current"]:
        raise SmokeError(f"`sluice route` answered with another artifact or no plan: {plan}")
    print(f"ok  {version}, artifact {listing['current']}, route {plan['plan']['action']}")


CONFIG = """
models:
  - {{name: gpt-4o-mini, provider: local, api_base: "{url}", cost: 0.001, max_tokens: 500}}
  - {{name: gpt-4o, provider: local, api_base: "{url}", cost: 0.01, max_tokens: 500}}
budget: {{daily_limit: 5}}
"""


def check_service(installed: Installed) -> None:
    """The service becomes ready, routes, answers a chat that it then knows the cost of, shows its
    page, and an interrupt stops it with status 0."""
    port = free_port()
    url, log_path = f"http://127.0.0.1:{port}", installed.cwd / "serve.log"
    with model_on_loopback() as model, log_path.open("w") as log:
        (installed.cwd / "sluice.yaml").write_text(CONFIG.format(url=model))
        installed.call("sluice", "serve", "--check")
        server = subprocess.Popen(
            [str(installed.bin / "sluice"), "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=installed.cwd,
            env=installed.env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            ready_s = wait_until_ready(server, f"{url}/health/ready")
            use_service(url)
            server.send_signal(signal.SIGINT)
            status = server.wait(STOP_LIMIT_S)
            if status != 0:
                raise SmokeError(f"sluice serve left with {status} after an interrupt, not 0")
        except (SmokeError, OSError, subprocess.TimeoutExpired) as exc:
            raise SmokeError(f"{exc}\n-- the service said:\n{log_path.read_text()}") from exc
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
    print(f"ok  service ready after {ready_s:.1f} s, routed, answered, stopped by an interrupt")


def use_service(url: str) -> None:
    """Route, chat, and look at what it says of that."""
    answer = post(f"{url}/v1/route", {"prompt": "hello"})
    if "plan" not in answer:
        raise SmokeError(f"/v1/route answered without a plan: {answer}")
    question = {"role": "user", "content": "What is the capital of France?"}
    chat = post(f"{url}/v1/chat/completions", {"model": "auto", "messages": [question]})
    if "Paris" not in str(chat.get("choices")):
        raise SmokeError(f"/v1/chat/completions did not answer: {chat}")
    told = json.loads(get(f"{url}/v1/analytics"))
    if told["total"]["requests"] != 1 or not told["total"]["cost_usd"]:
        raise SmokeError(f"/v1/analytics does not know of the chat: {told['total']}")
    if b"<html" not in get(f"{url}/"):
        raise SmokeError("there is no page at /")


@contextmanager
def model_on_loopback() -> Iterator[str]:
    """The API base of `Model`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


class Model(BaseHTTPRequestHandler):
    """A model that says one thing, in OpenAI's wire format."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "The capital of France is Paris."}
        usage = {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        body = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def check_agent(installed: Installed) -> None:
    """An agent that is never closed answers, and leaves nothing on stderr."""
    with model_on_loopback() as url:
        done = installed.attempt("python", "-c", ASK.format(url=url))
    if done.returncode != 0 or "Paris" not in done.stdout or done.stderr:
        raise SmokeError(f"the agent did not answer quietly:\n{done.stdout}{done.stderr}")
    print(f"ok  an agent answered: {done.stdout.strip()}")


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> float:
    """Seconds until `url` answers 200."""
    start = time.monotonic()
    while time.monotonic() - start < READY_LIMIT_S:
        if server.poll() is not None:
            raise SmokeError(f"sluice serve ended by itself with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                if response.status == 200:
                    return time.monotonic() - start
        except (urllib.error.URLError, ConnectionError):
            pass  # not listening yet, or 503 while it loads
        time.sleep(0.05)
    raise SmokeError(f"{url} was not ready within {READY_LIMIT_S:.0f} s")


def post(url: str, body: dict[str, object]) -> dict[str, object]:
    """The JSON object that `url` answers to `body`."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def get(url: str) -> bytes:
    """What `url` answers."""
    with urllib.request.urlopen(url, timeout=10) as response:
        body: bytes = response.read()
    return body


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def check_base_is_light(installed: Installed) -> None:
    """The base install has no torch, says which extra `train` needs, and imports fast."""
    packages = installed.call("python", "-c", FIND_PACKAGES).split()
    heavy = {"torch", "sentence-transformers", "transformers", "scikit-learn"} & set(packages)
    if heavy:
        raise SmokeError(f"the base install pulled in {', '.join(sorted(heavy))}")
    refusal = installed.attempt("sluice", "train", ".")
    if refusal.returncode != 2 or "sluice-router[train]" not in refusal.stderr:
        raise SmokeError(f"`sluice train` did not name its extra: {refusal}")
    best_ms = min(float(installed.call("python", "-c", TIME_IMPORT)) for _ in range(5))
    if best_ms >= IMPORT_LIMIT_MS:
        raise SmokeError(f"import router took {best_ms:.0f} ms, over {IMPORT_LIMIT_MS:.0f} ms")
    print(f"ok  {len(packages)} packages, no torch; import router {best_ms:.0f} ms (best of 5)")


def main(arguments: list[str]) -> int:
    """Run every check on the wheel named on the command line; returns the exit status."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(f"usage: smoke_wheel.py WHEEL (got {arguments})", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="sluice-smoke-") as home:
        try:
            installed = Installed(Path(arguments[0]).resolve(), Path(home))
            check_base_is_light(installed)
            check_command_line(installed)
            check_service(installed)
            check_agent(installed)
        except SmokeError as error:
            print(f"smoke test failed: {error}", file=sys.stderr)
            return 1
    print("the installed wheel works outside the checkout")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The end of one process: what is under way is finished, or cancelled with time to record it."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.serving.operations.child_process import Child, run_child, wait_until
from tests.serving.operations.live_server import connect, read_all


class Reader:
    """Reads a stream in a thread."""

    def __init__(self, url: str) -> None:
        self.pieces: list[str] = []
        self.error: httpx.HTTPError | None = None
        self._thread = threading.Thread(target=self._read, args=(url,), daemon=True)
        self._thread.start()
        wait_until(lambda: self.pieces)

    def _read(self, url: str) -> None:
        try:
            with httpx.stream("GET", url, timeout=20) as response:
                for line in response.iter_lines():
                    self.pieces.append(line)
        except httpx.HTTPError as exc:
            self.error = exc

    def wait(self) -> None:
        self._thread.join(15)
        assert not self._thread.is_alive()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_streams_finish_and_nothing_new_is_taken(tmp_path: Path) -> None:
    with run_child(1, tmp_path) as child:
        url = child.url()
        with connect(port_of(url)) as idle, connect(port_of(url)) as halfway:
            idle.sendall(b"GET /pid HTTP/1.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += idle.recv(65536)
            halfway.sendall(b"GET /pid HTTP/1.1\r\n")
            reader = Reader(f"{url}/stream?1.2")
            began = time.monotonic()
            child.process.send_signal(signal.SIGTERM)
            assert read_all(idle) == b""
            assert time.monotonic() - began < 0.4  # closed at once
            assert read_all(halfway) == b""
        with pytest.raises(OSError, match=r"refused|reset"):
            connect(port_of(url)).recv(1)
        reader.wait()
        assert (child.end(), reader.error, reader.pieces[-1]) == (0, None, "whole")
        assert "draining" in reader.pieces  # the application knew
        assert child.notes == ["closed"]
        assert child.log == []


def test_a_request_that_takes_too_long_is_cancelled_and_recorded(tmp_path: Path) -> None:
    with run_child(1, tmp_path) as child:
        reader = Reader(f"{child.url()}/stream?60")
        began = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        assert child.end() == 0
        assert 1.4 < time.monotonic() - began < 5
        reader.wait()
        assert isinstance(reader.error, httpx.RemoteProtocolError)  # its end does not look like one
        assert child.notes == ["cancelled", "closed"]
        assert [line["message"] for line in child.log] == [
            "requests cancelled because the service ends: 1"
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_wait(tmp_path: Path, number: signal.Signals) -> None:
    with run_child(1, tmp_path) as child:
        reader = Reader(f"{child.url()}/stream?60")
        child.process.send_signal(number)
        time.sleep(0.3)
        assert child.process.poll() is None
        began = time.monotonic()
        child.process.send_signal(number)
        assert child.end() == 128 + number
        assert time.monotonic() - began < 1.2
        reader.wait()
        assert child.notes == ["cancelled", "closed"]


def test_one_that_will_not_be_cancelled_does_not_hold_it_up_for_ever(tmp_path: Path) -> None:
    with run_child(1, tmp_path) as child:
        Reader(f"{child.url()}/stubborn?60")
        began = time.monotonic()
        for _ in range(2):
            child.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        time.sleep(2)
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)  # a third one ends it
        assert child.end() in (-signal.SIGTERM, 128 + signal.SIGTERM)
        assert time.monotonic() - began < 6
        assert "cancelled requests that did not end in time: 1" in str(child.log)


def test_a_signal_before_it_is_ready_ends_it(tmp_path: Path) -> None:
    with run_child(1, tmp_path, "hangs") as child:
        wait_until(lambda: handles_signals(child))
        child.process.send_signal(signal.SIGTERM)
        assert child.end() == 0
        assert not child.said_more


def test_what_keeps_it_from_getting_ready_is_raised(tmp_path: Path) -> None:
    with run_child(1, tmp_path, "fails") as child:
        assert child.end() == 1
        assert child.notes == ["closed"]
        error = child.log[-1]["error"]
        assert (error["type"], error["text"]) == ("router.errors.SluiceError", "it will not do")


def handles_signals(child: Child) -> bool:
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_a_connection_just_made_still_has_its_request_answered(tmp_path: Path) -> None:
    with run_child(1, tmp_path) as child, connect(port_of(child.url())) as client:
        time.sleep(0.05)
        child.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        client.sendall(b"GET /pid HTTP/1.1\r\n\r\n")
        assert read_all(client).endswith(b'"draining": true}')
        assert child.end() == 0


def test_a_connection_that_is_not_used_is_not_left_hanging(tmp_path: Path) -> None:
    with run_child(1, tmp_path) as child, connect(port_of(child.url())) as client:
        time.sleep(0.05)
        began = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        assert read_all(client) == b""
        assert child.end() == 0
        assert time.monotonic() - began < 2

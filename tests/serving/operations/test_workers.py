"""Several workers: ready together, replaced when they die, restarted one by one, ended together."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.serving.operations.child_process import Child, run_child, wait_until


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def errors_of(child: Child) -> list[str]:
    return [line["message"] for line in child.log if line["level"] == "error"]


def test_all_are_ready_before_it_says_so_once(tmp_path: Path) -> None:
    with run_child(3, tmp_path) as child:
        url = child.url()
        pids = child.pids(url, count=3)
        assert child.process.pid not in pids
        child.process.send_signal(signal.SIGTERM)
        assert child.end() == 0
        assert not any(is_alive(pid) for pid in pids)
        assert not child.said_more
        assert (child.notes, child.log) == (["closed"] * 3, [])


def test_an_interrupt_of_the_whole_terminal_is_one_interrupt(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        with httpx.stream("GET", f"{url}/stream?0.7", timeout=20) as response:
            lines = response.iter_lines()
            next(lines)
            os.killpg(child.process.pid, signal.SIGINT)
            assert list(lines)[-1] == "whole"
        assert child.end() == 0
        assert child.log == []


def test_a_signal_to_every_process_is_one_too(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        with httpx.stream("GET", f"{url}/stream?0.7", timeout=20) as response:
            lines = response.iter_lines()
            next(lines)
            os.killpg(child.process.pid, signal.SIGTERM)
            assert list(lines)[-1] == "whole"
        assert child.end() == 0


def test_a_second_signal_does_not_wait_for_any(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        with httpx.stream("GET", f"{url}/stream?60", timeout=20) as response:
            next(response.iter_lines())
            child.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            began = time.monotonic()
            child.process.send_signal(signal.SIGTERM)
            assert child.end() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 3
        assert "cancelled" in child.notes


def test_streams_that_take_too_long_are_recorded(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        with httpx.stream("GET", f"{child.url()}/stream?60", timeout=20) as response:
            next(response.iter_lines())
            child.process.send_signal(signal.SIGTERM)
            assert child.end() == 0
        assert sorted(child.notes) == ["cancelled", "closed", "closed"]


@pytest.mark.parametrize("how", ["killed", "leaves"])
def test_a_worker_that_dies_is_replaced(tmp_path: Path, how: str) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        before = child.pids(url, count=2)
        if how == "killed":
            os.kill(min(before), signal.SIGKILL)
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"{url}/die")
        wait_until(lambda: errors_of(child))
        after = child.pids(url, count=2)
        assert len(before & after) == 1
        end = r"was ended by SIGKILL" if how == "killed" else r"ended with status 3"
        [error] = errors_of(child)
        assert re.fullmatch(rf"worker \d+ {end}; another starts in 0\.5 s", error)


def test_a_hangup_replaces_one_after_the_other(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        before = child.pids(url, count=2)
        failures: list[Exception] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    httpx.get(f"{url}/pid", headers={"connection": "close"}).raise_for_status()
                except httpx.HTTPError as exc:
                    failures.append(exc)

        asking = threading.Thread(target=ask)
        asking.start()
        child.process.send_signal(signal.SIGHUP)
        try:
            wait_until(lambda: not any(is_alive(pid) for pid in before))
            after = child.pids(url, count=2)
        finally:
            done.set()
            asking.join()
        assert not before & after
        assert not failures
        assert errors_of(child) == []
        child.process.send_signal(signal.SIGTERM)
        assert child.end() == 0
        assert not child.said_more


def test_a_replacement_that_fails_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        before = child.pids(url, count=2)
        child.behave("fails")
        child.process.send_signal(signal.SIGHUP)
        wait_until(lambda: errors_of(child))
        time.sleep(0.3)
        assert child.pids(url, count=2) == before
        [error] = errors_of(child)
        assert "did not get ready: it will not do" in error
        assert "the others go on" in error


def test_what_keeps_workers_from_getting_ready_is_raised_at_once(tmp_path: Path) -> None:
    with run_child(2, tmp_path, "fails") as child:
        assert child.end() == 1
        assert child.log[-1]["error"]["text"] == "it will not do"
        assert not child.said_more


@pytest.mark.slow
def test_workers_that_keep_dying_are_given_up(tmp_path: Path) -> None:
    with run_child(2, tmp_path, "dies") as child:
        began = time.monotonic()
        assert child.end(60) == 1
        assert time.monotonic() - began > 0.5 + 1 + 2 + 4  # pauses that grow
        text = child.log[-1]["error"]["text"]
        assert re.search(r"ended with status 7 before it was ready, 5 times in a row", text)


def test_an_end_while_they_start_is_an_end(tmp_path: Path) -> None:
    with run_child(2, tmp_path, "hangs") as child:
        time.sleep(1.5)
        child.process.send_signal(signal.SIGINT)
        assert child.end() == 0
        assert not child.said_more


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        pids = child.pids(child.url(), count=2)
        child.process.kill()
        child.end()
        wait_until(lambda: not any(is_alive(pid) for pid in pids))
        assert child.notes == ["closed"] * 2


def test_their_figures_are_added_up(tmp_path: Path) -> None:
    with run_child(2, tmp_path) as child:
        url = child.url()
        pids = child.pids(url, count=2)
        for _ in range(20):
            httpx.get(f"{url}/count", headers={"connection": "close"})
        for _ in range(5):
            text = httpx.get(f"{url}/metrics", headers={"connection": "close"}).text
            assert 'sluice_errors_total{code="tried"} 20.0' in text
        resident = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
        assert resident
        own = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids]
        assert float(resident[1]) == pytest.approx(sum(own), rel=0.2)
        os.kill(min(pids), signal.SIGKILL)  # what it had counted stays
        wait_until(lambda: errors_of(child))
        child.pids(url, count=2)
        assert 'sluice_errors_total{code="tried"} 20.0' in httpx.get(f"{url}/metrics").text

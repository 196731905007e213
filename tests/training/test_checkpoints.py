"""Finished steps are kept, whole or not at all, and forgotten when what they rest on changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.checkpoints import Checkpoints, data_key


def never() -> int:
    raise AssertionError("a finished step was made again")


def test_a_finished_step_is_read_and_not_made_again(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, "k", resume=False).keep("one", lambda: {"a": (1, 2)}) == {
        "a": (1, 2)
    }
    again = Checkpoints(tmp_path, "k", resume=True)
    assert again.keep("one", never) == {"a": (1, 2)}
    assert again.keep("two", lambda: 2) == 2


def test_without_resume_everything_is_made_anew(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "k", resume=True).keep("one", lambda: 1)
    (tmp_path / "notes.txt").write_text("not ours")
    assert Checkpoints(tmp_path, "k", resume=False).keep("one", lambda: 2) == 2
    assert (tmp_path / "notes.txt").is_file()


def test_another_key_is_another_step(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "k", resume=True).keep("one", lambda: 1)
    assert Checkpoints(tmp_path, "other", resume=True).keep("one", lambda: 2) == 2


def test_a_step_that_fails_leaves_nothing_to_resume_from(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "k", resume=True)
    with pytest.raises(AssertionError):
        kept.keep("one", never)
    assert kept.keep("one", lambda: 1) == 1


def test_a_result_that_cannot_be_stored_is_not_half_stored(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "k", resume=True)
    with pytest.raises((AttributeError, TypeError)):  # pickle: cannot store a lambda
        kept.keep("one", lambda: [b"x" * 100_000, lambda: 1])
    assert not list(tmp_path.glob("step-*.pkl"))
    assert kept.keep("one", lambda: 1) == 1


def test_folders_are_made(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "a" / "b", "k", resume=False).keep("one", lambda: 1) == 1


def test_the_key_follows_content_and_seed_but_not_the_clock(tmp_path: Path) -> None:
    folder, single = tmp_path / "data", tmp_path / "more.jsonl"
    folder.mkdir()
    (folder / "a.jsonl").write_text("{}\n")
    (folder / "notes.md").write_text("read me")
    single.write_text("{}\n")
    paths = [folder, single]
    key = data_key(paths, seed=0)
    assert key == data_key(paths, seed=0)
    assert key != data_key(paths, seed=1)
    (folder / "notes.md").write_text("no data, so it does not matter")
    assert key == data_key(paths, seed=0)
    (folder / "a.jsonl").write_text("{} \n")
    changed = data_key(paths, seed=0)
    assert changed != key
    single.write_text("{}")
    assert data_key(paths, seed=0) not in (key, changed)
    (folder / "b.parquet").write_bytes(b"")
    assert len({key, changed, data_key(paths, seed=0), data_key([folder], seed=0)}) == 4

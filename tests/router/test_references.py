"""References to the environment in a configuration, looked up in any environment."""

from __future__ import annotations

from router.config_file import References


def test_references_are_looked_up_where_they_are_told_to_and_remembered() -> None:
    references = References({"A": "1", "EMPTY": ""})
    given = {"x": ["${A}${B:-2}", 3, {"y": "${EMPTY}"}], "z": "$${A}"}
    assert references.resolve(given) == {"x": ["12", 3, {"y": "${EMPTY}"}], "z": "${A}"}
    assert references.names == {"A", "B", "EMPTY"}
    assert [one.path for one in references.faults] == ["x[2].y"]


def test_what_the_environment_holds_is_not_looked_at_again() -> None:
    references = References({"A": "${B}", "B": "2"})
    assert references.resolve("${A}") == "${B}"
    assert references.names == {"A"}
    assert references.faults == []

"""What docs/deployment.md names is there, and its examples can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from serving.config import ServerConfig
from serving.config.environment import variables_of_sections
from serving.metrics import Metrics

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
ELSEWHERE = {"SLUICE_CONFIG"}  # read before there is a configuration


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_variable_it_names_is_known() -> None:
    named = set(re.findall(r"\bSLUICE_[A-Z_]+\b", TEXT))
    assert named
    assert named <= set(variables_of_sections()) | ELSEWHERE


def test_it_names_every_metric_and_no_other() -> None:
    metrics = Metrics()
    exposed = re.findall(r"^# TYPE (sluice_\w+) ", metrics.render().decode(), re.MULTILINE)
    named = set(re.findall(r"\bsluice_[a-z_]+", TEXT))
    assert set(exposed) - named == set()
    assert {name.removesuffix("_bucket") for name in named} - set(exposed) == set()


def test_every_file_it_leads_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target


def test_its_deployment_gives_the_end_its_time() -> None:
    [deployment] = [one for one in map(yaml.safe_load, blocks("yaml")) if "kind" in one]
    pod = deployment["spec"]["template"]["spec"]
    container: dict[str, Any] = pod["containers"][0]
    _, pause_s = container["lifecycle"]["preStop"]["exec"]["command"]
    needed_s = int(pause_s) + ServerConfig().shutdown_timeout_s + 15
    assert pod["terminationGracePeriodSeconds"] >= needed_s
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert pod["securityContext"]["runAsNonRoot"]

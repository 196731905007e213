"""The form of cascadeflow's configurations (1.2): what its `load_config` reads, and the `quality`,
`cascade` and `harness` settings that its other parts take.

A field without a meaning here is marked with the reason why it is left out. Those are not checked:
whatever they hold, it is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from ..config import nearest

__all__ = [
    "DOMAINS",
    "CascadeForm",
    "DomainForm",
    "FileForm",
    "LeftOut",
    "ModelForm",
    "QualityForm",
    "SettingsForm",
]

# Its domains and ours; None where no such domain is told apart here.
DOMAINS: Final[Mapping[str, str | None]] = {
    "code": "CODE",
    "comparison": None,
    "conversation": None,
    "creative": "CREATIVE",
    "data": "DATA",
    "factual": None,
    "financial": "FINANCE",
    "general": "DEFAULT",
    "legal": "LEGAL",
    "math": "MATH",
    "medical": "MEDICAL",
    "multimodal": None,
    "rag": None,
    "science": None,
    "structured": None,
    "summary": "SUMMARIZATION",
    "tool": None,
    "translation": "TRANSLATION",
}


@dataclass(frozen=True)
class LeftOut:
    """Marks a field that has no meaning here, and says why."""

    why: str


_LEARNED = LeftOut("what a model is good at is predicted and learned here")
_POLICY = LeftOut("the calibrated policy decides for each query here")
_VALIDATOR = LeftOut("a calibrated validator judges drafts here")
_LOGGING = LeftOut("set the level of the logger 'sluice'")
_ALWAYS = LeftOut("always done here")
_CHANNELS = LeftOut("there are no channels here: make an agent for each")
_HARNESS = LeftOut("there is no harness here")
_TIERS = LeftOut("there are no tiers here: make an agent for each, or set 'budget'")
_PER_RUN = LeftOut("limits are per day, month and user here: see 'budget'")

_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Temperature = Annotated[float, Field(ge=0.0, le=2.0)]
_Tokens = Annotated[int, Field(ge=1)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ModelForm(_Form):
    """One model. Its temperature and max_tokens are defaults of a call."""

    name: str
    provider: str
    cost: Annotated[float, Field(ge=0.0)] | None = None
    api_key: SecretStr | None = None
    base_url: str | None = None
    temperature: _Temperature | None = None
    max_tokens: _Tokens | None = None
    keywords: Annotated[Any, _LEARNED] = None
    domains: Annotated[Any, _LEARNED] = None
    quality_score: Annotated[Any, _LEARNED] = None
    speed_ms: Annotated[Any, LeftOut("latency is measured here")] = None
    supports_tools: Annotated[
        Any, LeftOut("every model is offered the tools, and its calls are checked")
    ] = None
    system_prompt: Annotated[
        Any, LeftOut("cascadeflow never sends it: put it into a call's messages")
    ] = None
    extra: Annotated[
        Any, LeftOut("cascadeflow never sends it: what should be sent goes in 'params'")
    ] = None
    http_config: Annotated[Any, LeftOut("there is no such setting here")] = None


class DomainForm(_Form):
    """The chain of one domain; drafter and verifier are names of models, or models."""

    drafter: Any
    verifier: Any
    temperature: _Temperature | None = None
    max_tokens: _Tokens | None = None
    fallback_models: tuple[str, ...] = ()
    require_verifier: bool = False
    enabled: bool = True
    threshold: Annotated[
        _Share | None,
        LeftOut("thresholds are calibrated here, with one 'quality' for all domains"),
    ] = None
    validation_method: Annotated[
        Any, LeftOut("what is in a draft decides how it is checked here")
    ] = None
    tool_drafter: Annotated[Any, LeftOut("tools do not change the chain here")] = None
    tool_verifier: Annotated[Any, LeftOut("tools do not change the chain here")] = None
    adaptive_threshold: Annotated[Any, _POLICY] = None
    skip_on_simple: Annotated[Any, _POLICY] = None
    cascade_complexities: Annotated[Any, _POLICY] = None
    description: Annotated[Any, LeftOut("a comment does as well")] = None
    metadata: Annotated[Any, LeftOut("nothing reads it here")] = None


class QualityForm(_Form):
    """When a draft is accepted, by the complexity that a query is taken to have."""

    threshold: _Share | None = None
    confidence_thresholds: Mapping[str, _Share] = Field(default_factory=dict)
    min_length_thresholds: Mapping[str, int] = Field(default_factory=dict)
    require_specifics_for_complex: Annotated[Any, _VALIDATOR] = None
    max_hedging_ratio: Annotated[Any, _VALIDATOR] = None
    min_specificity_score: Annotated[Any, _VALIDATOR] = None
    enable_hallucination_detection: Annotated[Any, _VALIDATOR] = None
    enable_comparative: Annotated[Any, _VALIDATOR] = None
    enable_adaptive: Annotated[Any, _POLICY] = None
    log_decisions: Annotated[Any, _LOGGING] = None
    log_details: Annotated[Any, _LOGGING] = None


class CascadeForm(_Form):
    """Limits of one call."""

    quality_threshold: _Share | None = None
    max_retries: int | None = None
    timeout: float | None = None
    require_minimum_tokens: Annotated[
        Any, LeftOut("lengths are in characters here: see 'quality.min_length'")
    ] = None
    max_budget: Annotated[Any, _PER_RUN] = None
    track_costs: Annotated[Any, _ALWAYS] = None
    track_metrics: Annotated[Any, _ALWAYS] = None
    routing_strategy: Annotated[Any, _POLICY] = None
    use_speculative: Annotated[Any, _POLICY] = None
    deferral_strategy: Annotated[Any, _POLICY] = None
    comparative_delta: Annotated[Any, _POLICY] = None
    verbose: Annotated[Any, _LOGGING] = None
    log_level: Annotated[Any, _LOGGING] = None


class SettingsForm(_Form):
    """Switches of the agent."""

    enable_cascade: bool = True
    enable_domain_detection: bool = True
    verbose: Annotated[Any, _LOGGING] = None


class FileForm(_Form):
    """A whole file."""

    models: tuple[ModelForm, ...]
    domains: Mapping[str, DomainForm] = Field(default_factory=dict)
    quality: QualityForm = QualityForm()
    cascade: CascadeForm = CascadeForm()
    settings: SettingsForm = SettingsForm()
    channels: Annotated[Any, _CHANNELS] = None
    channel_failover: Annotated[Any, _CHANNELS] = None
    tiers: Annotated[Any, _TIERS] = None
    workflows: Annotated[Any, _TIERS] = None
    harness: Annotated[Any, _HARNESS] = None
    mode: Annotated[Any, _HARNESS] = None
    budget: Annotated[float | None, _PER_RUN] = None
    max_tool_calls: Annotated[Any, _HARNESS] = None
    max_latency_ms: Annotated[Any, _HARNESS] = None
    max_energy: Annotated[Any, _HARNESS] = None
    kpi_targets: Annotated[Any, _HARNESS] = None
    kpi_weights: Annotated[Any, _HARNESS] = None
    compliance: Annotated[Any, _HARNESS] = None
    verbose: Annotated[Any, _LOGGING] = None

    @field_validator("domains")
    @classmethod
    def _domains_are_known(cls, domains: Mapping[str, DomainForm]) -> Mapping[str, DomainForm]:
        for name in domains:
            if name not in DOMAINS:
                raise ValueError(f"unknown domain {name!r}{nearest(name, DOMAINS)}")
        return domains

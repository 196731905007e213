"""The gateway's configuration: one file, the environment and the command line, checked hard."""

from .cascade_settings import CacheConfig, CascadeSettings
from .exposure import check_exposure, is_loopback
from .gateway_config import AUTO, ENCODER_MODEL, GatewayConfig
from .loading import find_config_file, load_gateway_config, parse_gateway_config
from .sections import (
    AuthConfig,
    GatewayBudget,
    LimitsConfig,
    MetricsConfig,
    RedisConfig,
    ServerConfig,
    StoreConfig,
    TracingConfig,
)

__all__ = [
    "AUTO",
    "ENCODER_MODEL",
    "AuthConfig",
    "CacheConfig",
    "CascadeSettings",
    "GatewayBudget",
    "GatewayConfig",
    "LimitsConfig",
    "MetricsConfig",
    "RedisConfig",
    "ServerConfig",
    "StoreConfig",
    "TracingConfig",
    "check_exposure",
    "find_config_file",
    "is_loopback",
    "load_gateway_config",
    "parse_gateway_config",
]

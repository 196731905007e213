"""The HTTP service: pre-routing, validation, health and metrics. Imports `router` only."""

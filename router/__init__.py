"""Sluice at inference time: predict, plan, draft, validate, escalate. No torch."""

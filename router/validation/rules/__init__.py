"""The rule checks behind `router.validation.checks`, one kind of evidence per module."""

"""The parts of `sluice evaluate`: evidence by replay, choices by split, and the report's tables."""

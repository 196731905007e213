"""The SDK: `CascadeAgent` and what it gives back. Import its names from `router`."""

"""Who may ask, for what, and how often: keys, tenants and rate limits."""

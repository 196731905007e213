"""How the service runs: processes, connections, admission, logs, figures, traces."""

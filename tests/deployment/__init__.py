"""melody_logs as it is run for real: in containers, on read-only machines, on several, and with TLS."""

"""From a fact in the host's request to a row: clean, redact, spool, drain."""

"""A small real host app with everything that melody_logs records, and the supervisor that runs it."""

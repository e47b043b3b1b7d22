"""Real servers for the tests: PostgreSQL, Redis, Chromium and child processes; the suite starts and ends them."""

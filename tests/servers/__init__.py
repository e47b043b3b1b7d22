"""Real servers for the tests: databases, Redis, Chromium and child processes; the suite starts and ends them."""

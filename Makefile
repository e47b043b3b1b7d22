# melody_logs: `make` lists what can be done here.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help install run test test-long test-versions drills bench lint format lock screenshots clean

help: ## List the targets
	@echo 'make TARGET [ARGS="…"]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

install: ## Make .venv/ with the package (editable), every extra and every tool
	@sh scripts/install

run: install ## Start the demo host with its worker: ARGS="--port 8123 --data-dir DIR"
	@exec .venv/bin/melody-logs demo $(ARGS)

test: install ## Run the whole suite on real servers: ARGS="-k spool"
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-long: install ## Run the tests that take many minutes
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m pytest -m long --timeout 3600 $(ARGS)

test-versions: install ## Test every Python found, the lowest and the newest dependencies
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m pytest -m versions --timeout 3600 tests/packaging $(ARGS)

drills: install ## Kill, freeze and cut off servers and processes: ARGS="-k F1- --drill-seed 7"
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m pytest -m "drills or fault" --timeout 3600 -k "not short" $(ARGS)

bench: install ## Measure against bare work, as ratios: ARGS="--only drain --rounds 5"
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m benchmarks $(ARGS)

lint: install ## Check style, types, templates and spelling
	@sh scripts/lint

format: install ## Put the Python files into the house's form
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

lock: install ## Renew requirements/lock.txt: ARGS="--upgrade"
	@sh scripts/lock $(ARGS)

screenshots: install ## Renew the pictures in docs/images/ from a demo
	@.venv/bin/python -m tests.servers
	@exec .venv/bin/python -m scripts.screenshots

clean: ## Remove .venv/, caches and build results
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

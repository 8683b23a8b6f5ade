# Everything is one `make` away and needs Python 3.11+ only (e2e: Go as well). Each target makes the environment it needs.

# The first that runs and is new enough; say PYTHON=... to choose.
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done),python3)
VENV ?= .venv
SEEDS ?= 20
# Processes that share the tests, by file: an AWS in a box is one a process.
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SIM := $(VENV)/.sim
DEV := $(VENV)/.dev
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-options \
	--no-annotate --strip-extras --allow-unsafe

.DEFAULT_GOAL := help
.PHONY: help demo test check e2e bench soak format generate lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nodesmith needs Python 3.11 or later; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV)

# The project goes in editable and without build isolation, so that nothing is asked for that is not pinned by hash.
$(SIM): requirements/sim.txt pyproject.toml | $(BIN)/python
	@echo "installing requirements/sim.txt into $(VENV)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/sim.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(DEV): requirements/dev.txt $(SIM)
	@echo "installing requirements/dev.txt into $(VENV)"
	@$(PIP) install --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

demo: $(SIM) ## The whole story on an AWS in a box and a cluster in memory (ARGS=... for `nodesmith demo`)
	@$(BIN)/nodesmith demo $(ARGS)

test: $(DEV) ## Everything but e2e
	$(BIN)/python -m pytest --ignore=tests/e2e --hypothesis-profile=ci -q -n $(WORKERS) --dist loadfile $(ARGS)

check: $(DEV) ## Lint, format, types, layers, generated files, hygiene
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/hygiene.py

e2e: $(DEV) ## The same on a real control plane (builds it once with Go, then keeps it)
	$(BIN)/python tools/controlplane/build.py
	$(BIN)/python -m pytest tests/e2e --hypothesis-profile=ci -q $(ARGS)

bench: $(DEV) ## Benchmarks: every benchmarks/bench_*.py
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

soak: $(DEV) ## Random worlds with faults, SEEDS=20
	$(BIN)/python tools/soak.py --seeds $(SEEDS) $(ARGS)

format: $(DEV) ## Format and fix what can be fixed safely
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: $(DEV) ## Write generated files again (CRDs, reference pages, ...)
	$(BIN)/python tools/generate.py

lock: | $(BIN)/python ## Pin requirements/*.txt again from pyproject.toml
	@$(PIP) install pip-tools
	CUSTOM_COMPILE_COMMAND='make lock' $(LOCK) -o requirements/base.txt pyproject.toml requirements/build.in
	CUSTOM_COMPILE_COMMAND='make lock' $(LOCK) --extra sim -o requirements/sim.txt pyproject.toml requirements/build.in
	CUSTOM_COMPILE_COMMAND='make lock' $(LOCK) --extra sim --extra dev -o requirements/dev.txt pyproject.toml requirements/build.in

clean: ## Everything that make made
	rm -rf $(VENV) build dist .coverage htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

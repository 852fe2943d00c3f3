# One command each; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
SECONDS ?= 300
MINUTES ?= 30

# What is compiled once is there for every process that a test starts.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install run test test-two test-versions lint bench chaos soak reliability clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /make \1\t/' | expand -t 16

install: $(STAMP) ## make .venv with everything (nothing to do when nothing changed)

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml setup.py packing.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --root-user-action=ignore --no-deps --editable .
	@touch $@

run: install ## everything in one terminal: servers, API, two workers, Flower, samples
	@exec $(BIN)/chaingraph dev

# What judges times has the machine to itself; the rest shares it.
test: install ## all tests, on real servers of their own (ARGS="-k relay" for some)
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/pytest -n auto --dist worksteal tests/integration tests/unit
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" tests/chaos tests/system
	$(BIN)/pytest -m alone tests/system
endif

test-two: install ## the system tests, on two databases (DATABASE_URL_EXECUTIONS)
	CHAINGRAPH_TEST_DATABASES=2 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder \
	  $(or $(ARGS),-m "not alone" tests/system)

test-versions: install ## what speaks to servers, on PostgreSQL 15 to 17, Redis 6.2 and 8, PgBouncer
	$(BIN)/python -m tests.versions $(ARGS)

lint: install ## style, types, layers, and whether the migrations match the tables
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.alembic_check

bench: install ## how fast it is, on this machine
	$(BIN)/python -m benchmarks $(ARGS)

chaos: install ## lose whatever can be lost under load: SECONDS=300 SEED=1 for the same again
	$(BIN)/python -m tests.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: install ## chaos over several seeds, pools and dispatch modes: MINUTES=30 SEED=1
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

reliability: install ## show what is promised, with figures (ARGS="--only kills" for one promise)
	$(BIN)/python -m tests.reliability $(ARGS)

clean: ## remove .venv and what the tools left; .data stays
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .coverage htmlcov ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

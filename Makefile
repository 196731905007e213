# Everything installs into .venv; nothing outside this folder is touched. `make help` lists the
# targets. PYTHON= picks the interpreter (3.11 or newer) that .venv is made with.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Stamps: an install runs again only when what it depends on has changed.
BASE := $(VENV)/.base-installed
DEV := $(VENV)/.dev-installed
# Other people's software, for tests and benchmarks that ask it.
JS_CLIENTS := tests/serving/clients/js/node_modules/.package-lock.json
PORTKEY := tests/benchmarks/gateway/node_modules/.package-lock.json
LITELLM := .venv-litellm/.installed
LITELLM_PINS := tests/router/real_servers/litellm-requirements.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Prerequisites are taken in the order written, so that a missing folder is told first.
.NOTPARALLEL:
.PHONY: data-folder help run test lint format train evaluate calibrate bench bench-gateway soak \
	build smoke js-clients litellm clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; name a newer one with PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet -c constraints.txt -e '.[dev,train,math,langchain,postgres,redis,otel]'
	@touch $(BASE) $@

run: $(BASE)  ## install what serving needs and start the service (ARGS= passes options on)
	@exec $(BIN)/sluice serve $(ARGS)

test: $(DEV)  ## run every test (ARGS= passes options on to pytest)
	$(BIN)/python -m pytest $(ARGS)

lint: $(DEV)  ## ruff, format check, strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)  ## rewrite the files in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Looked at before anything is installed.
data-folder:
	@test -n "$(DATA)" || { echo "make: name a folder of outcome files with DATA=path/to/folder" >&2; exit 2; }
	@test -d "$(DATA)" || { echo "make: DATA=$(DATA) is not a folder" >&2; exit 2; }

train: data-folder $(DEV)  ## train an artifact from DATA=folder (ARGS= passes options on)
	$(BIN)/sluice train "$(DATA)" $(ARGS)

evaluate: data-folder $(DEV)  ## replay the outcomes of DATA=folder through the cascade and report
	$(BIN)/sluice evaluate "$(DATA)" $(ARGS)

calibrate: data-folder $(DEV)  ## choose thresholds with risk control on DATA=folder
	$(BIN)/sluice calibrate "$(DATA)" $(ARGS)

bench: $(DEV)  ## measure latency and print the table
	$(BIN)/python -m pytest tests/benchmarks -q -s -m benchmark $(ARGS)

bench-gateway: $(DEV) $(LITELLM) $(PORTKEY)  ## measure the gateway beside LiteLLM's and Portkey's
	$(BIN)/python -m pytest tests/benchmarks/test_gateway_speed.py -q -s -m benchmark $(ARGS)

soak: $(DEV)  ## minutes of load: 200,000 requests, 1,000 streams, 50 kills
	SLUICE_REQUESTS=200000 SLUICE_STREAMS=1000 SLUICE_KILLS=50 \
		$(BIN)/python -m pytest tests/soak -q -s $(ARGS)

build: $(DEV)  ## build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build

smoke: build  ## install the built wheel outside the checkout and try it
	$(BIN)/python scripts/smoke_wheel.py dist/*.whl

$(LITELLM): $(LITELLM_PINS)
	$(PYTHON) -m venv .venv-litellm
	.venv-litellm/bin/python -m pip --disable-pip-version-check install --quiet -r $(LITELLM_PINS)
	@touch $@

# npm writes this file last. Nothing of what it installs runs a script of its own.
%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

js-clients: $(JS_CLIENTS)  ## install the JavaScript clients for the tests that use them

litellm: $(LITELLM)  ## install LiteLLM's proxy for the tests that ask it (a minute, 760 MB)

clean:  ## remove .venv, builds, caches and reports
	rm -rf $(VENV) .venv-litellm tests/serving/clients/js/node_modules tests/benchmarks/gateway/node_modules
	rm -rf dist build reports .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

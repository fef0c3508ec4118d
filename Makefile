# Each target sets up what it needs: a virtual environment in .venv, made once and again when its lists change.
#
#   make repro    the whole DAG, then what was found       make lint     style and types
#   make test     lint, then all tests, one on each core   make bench    measurements that docs quote
#   make study    after `make repro`: validity on real images of MNIST (downloaded), a second generator, repair (95 minutes)
#   make serve    a Prefect server and the schedule of prefect.yaml    make key      the key pair that signs evidence
#   make clean    remove the environment and what tools keep; data, DVC's cache and logs stay
#
# Variables: PYTHON (3.11 or 3.12), ARGS (for `make repro`, e.g. ARGS="train_classifiers --force"),
# PIP_ARGS (for pip: where PyPI's torch would bring gigabytes of CUDA packages that this machine cannot use,
# PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu").

PYTHON ?= $(shell for name in python3.11 python3.12 python3; do "$$name" -c "" 2>/dev/null && command -v "$$name" && break; done)
PIP_ARGS ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The project's own tools first, also for what they start.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro study serve key test lint bench clean
.DELETE_ON_ERROR:

repro: $(INSTALLED)
	failure-atlas reproduce $(ARGS)

study: $(INSTALLED)
	failure-atlas reproduce --study $(ARGS)

serve: $(INSTALLED)
	failure-atlas serve $(ARGS)

key: $(INSTALLED)
	failure-atlas key

# Pages are opened in Chromium. Where it cannot be installed those tests are skipped and say so; if CI is set they fail.
test: lint
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; \
	fi; true
	python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy

bench: $(INSTALLED)
	@for file in $(wildcard benchmarks/[!_]*.py); do \
		echo "== $$file"; python -m "benchmarks.$$(basename "$$file" .py)" || exit 1; \
	done

# The stamp comes last: an install that was cut short is done again.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no python3.11, python3.12 or python3 found; install one or set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) *.egg-info build .mypy_cache .pytest_cache .ruff_cache .hypothesis .prefect
	find failure_atlas stages flows tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

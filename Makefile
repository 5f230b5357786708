# `make demo` and `make test` install everything they need on a new machine.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
PORT   ?= 8080
# Test processes. Each takes one test file at a time and computes with one thread.
WORKERS ?= 2
BIN     = $(VENV)/bin
# torch is installed first and alone, so that pip takes a smaller build where one is available.
TORCH   = $(shell sed -n 's/^torch==//p' constraints.txt)

# `make demo` uses the demo's lake, archive and model. So does `make up`, unless the environment sets
# a lake, archives or a model. Then the defaults of settings.py apply, and the default lake is outside
# the folders that `make clean` removes.
ifeq ($(NIGHTSCRIBE_LAKE)$(NIGHTSCRIBE_ARCHIVES)$(NIGHTSCRIBE_MODEL),)
ON_DEMO = demo up
else
ON_DEMO = demo
up: export NIGHTSCRIBE_LAKE := $(or $(NIGHTSCRIBE_LAKE),$(CURDIR)/lake)
endif
$(ON_DEMO): export NIGHTSCRIBE_LAKE     := $(CURDIR)/.nightscribe/lake
$(ON_DEMO): export NIGHTSCRIBE_ARCHIVES := $(CURDIR)/samples/archive
$(ON_DEMO): export NIGHTSCRIBE_MODEL    := demo
$(ON_DEMO): export NIGHTSCRIBE_TASK     := both

# Without a target, nothing is installed.
.DEFAULT_GOAL := help

.PHONY: demo demo-model test cluster-test up down notebook docs lint wheel sdist sbom clean setup constraints help

demo: setup ## Run the nightly job on the sample archive in a private Airflow
	@$(BIN)/python -m tools.demo

demo-model: setup ## Train the demo checkpoint into build/demo_model (needs espeak-ng, takes hours)
	@$(BIN)/python -m tools.demo_model all

test: setup-dev ## Run all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

cluster-test: setup-dev ## Run ten disturbed nights on a cluster of this machine (needs root, Postgres 15, Redis, socat, takes an hour)
	@PYTHONPATH=plugins:. $(BIN)/python -m tests.cluster --out build/cluster.json

up: setup ## Start Airflow in the background, with its UI on http://127.0.0.1:8080
	@$(BIN)/python -m nightscribe.airflow.standalone up --port $(PORT)

down: ## Stop the Airflow that `make up` started
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m nightscribe.airflow.standalone down; else echo "Airflow was not running: nothing is installed here"; fi

notebook: $(VENV)/.notebook ## Open the notebooks in JupyterLab
	@cd notebooks && PATH="$(abspath $(BIN)):$$PATH" jupyter lab first_steps.ipynb

lint: setup-dev ## Check style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && PYTHONPATH=plugins:. $(BIN)/lint-imports

docs: setup-dev ## Build the documentation as a site in site/
	@$(BIN)/python -m tools.build_site

# The times in the wheel are that of the commit, so that whoever builds it gets the same bytes.
wheel: setup ## Build the wheel into dist/
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	@rm -rf build nightscribe.egg-info # a second list of the same plugin, for Airflow

sdist: setup ## Build the source distribution into dist/, with the same bytes for everybody
	@rm -rf build/sdist && mkdir -p build/sdist dist
	@$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("build/sdist")' >build/sdist.log 2>&1
	@cd build/sdist && name=$$(basename *.tar.gz .tar.gz) && tar xzf $$name.tar.gz && tar --sort=name \
	  --mtime=@$$(git log -1 --format=%ct) --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner -cf - $$name | gzip -n >../../dist/$$name.tar.gz
	@rm -rf build/sdist build/sdist.log nightscribe.egg-info

sbom: setup-dev ## Write a software bill of materials into build/sbom.json
	@$(BIN)/python -m tools.sbom build/sbom.json

clean: ## Remove the virtual environment, the demo's lake, its Airflow and all caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m nightscribe.airflow.standalone down || true; fi
	rm -rf $(VENV) site notebooks/lake notebooks/two-models notebooks/rounded.pt notebooks/gate.toml .nightscribe .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info plugins/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.demo ## Create .venv and install Nightscribe

setup-dev: $(VENV)/.dev ## Create .venv and install Nightscribe with its test tools

.PHONY: setup-dev

$(VENV)/.venv: constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Nightscribe needs Python 3.11 to 3.13, not " + sys.version.split()[0] + ": choose one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==$(TORCH)
	@touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml
	@echo "installing Nightscribe into $(VENV) (takes a few minutes the first time) …"
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@rm -rf nightscribe.egg-info # a second list of the same plugin, for Airflow
	@touch $@

$(VENV)/.dev: $(VENV)/.venv pyproject.toml
	@echo "installing Nightscribe and its test tools into $(VENV) (takes a few minutes the first time) …"
	$(BIN)/pip install --quiet -c constraints.txt -e '.[s3,gcs,celery,vad,dev]'
	@rm -rf nightscribe.egg-info # a second list of the same plugin, for Airflow
	@touch $@ $(VENV)/.demo

$(VENV)/.notebook: $(VENV)/.demo
	@echo "installing JupyterLab into $(VENV) …"
	$(BIN)/pip install --quiet -c constraints.txt -e '.[notebook]'
	@rm -rf nightscribe.egg-info # a second list of the same plugin, for Airflow
	@touch $@

help: ## List these commands (also without a target)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

constraints: ## Resolve all dependencies and write constraints.txt
	tools/make_constraints.sh

# `make demo` and `make test` set everything up by themselves on a fresh machine.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
PORT   ?= 8080
# Processes that run tests side by side, a file at a time; each computes with one thread.
WORKERS ?= 2
BIN     = $(VENV)/bin
# torch comes first, by itself: where a smaller build of it is at hand, pip takes that.
TORCH   = $(shell sed -n 's/^torch==//p' constraints.txt)

# What `make demo` works on; and `make up`, where the environment names neither lake, archives nor
# model. Otherwise the defaults of settings.py hold, and the lake is not below a folder that
# `make clean` removes.
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

.PHONY: demo demo-model test up down lint clean setup constraints

demo: setup ## Run the nightly job on the sample archive in a real Airflow
	@$(BIN)/python -m tools.demo

demo-model: setup ## Train the demo checkpoint anew, into build/demo_model (needs espeak-ng; hours)
	@$(BIN)/python -m tools.demo_model all

test: setup-dev ## Run the test suite
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

up: setup ## Airflow's UI on 127.0.0.1:8080, in the background
	@$(BIN)/python -m nightscribe.airflow.standalone up --port $(PORT)

down: ## Stop what `make up` started
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m nightscribe.airflow.standalone down; else echo "nothing is set up here"; fi

lint: setup-dev ## Style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && PYTHONPATH=plugins:. $(BIN)/lint-imports

clean: ## Remove the virtual environment, the demo's lake and all caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m nightscribe.airflow.standalone down || true; fi
	rm -rf $(VENV) .nightscribe .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info plugins/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.demo
setup-dev: $(VENV)/.dev
.PHONY: setup-dev

$(VENV)/.venv: constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed, not " + sys.version.split()[0] + ": name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==$(TORCH)
	@touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml
	@echo "installing Nightscribe into $(VENV) (some minutes the first time) …"
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.venv pyproject.toml
	@echo "installing Nightscribe and its test tools into $(VENV) (some minutes the first time) …"
	$(BIN)/pip install --quiet -c constraints.txt -e '.[s3,gcs,celery,dev]'
	@touch $@ $(VENV)/.demo

constraints: ## Resolve every dependency anew and write constraints.txt
	tools/make_constraints.sh

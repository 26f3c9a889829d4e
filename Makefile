# `make verify` and `make test` need Python 3.11 or newer and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: verify test lint verify-docker lock

verify: $(VENV)/.run
	ansible-playbook verify.yml -i local $(ARGS)

# A file's tests share an engine, so a file stays with one worker.
test: lint $(VENV)/.dev
	pytest -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	ruff check .
	ruff format --check .
	mypy module_utils/ingest_verify
	mypy library action_plugins ingest/qtickets_api embedded simulator
	ansible-lint --offline

verify-docker: $(VENV)/.run
	.ci/verify-docker $(ARGS)

# The environments share one folder: .dev holds everything .run does.
$(VENV)/.run: requirements/run.lock
	test -e $(VENV)/.dev || { $(PYTHON) .ci/python-version && $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --require-hashes --requirement $<; }
	touch $@

$(VENV)/.dev: requirements/dev.lock
	$(PYTHON) .ci/python-version
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $<
	touch $@ $(VENV)/.run

# Needs uv; compiles every *.in for all Python versions from 3.11 on.
lock:
	for name in requirements/target ingest/requirements requirements/run requirements/dev; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" $$name.in --output-file $$name.lock || exit 1; \
	done

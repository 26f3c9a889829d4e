# `make verify` and `make test` need Python 3.11 or newer and a package index, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help verify runs catalogues stop clean init test lint campaign verify-docker lock corpus score sbom update

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

verify: $(VENV)/.run ## verify on this machine: embedded engine, simulated API, real loader
	ansible-playbook verify.yml -i local $(ARGS)

runs: $(VENV)/.run ## list the runs: verdict, duration, rows, cause
	PYTHONPATH=module_utils $(BIN)/python -m ingest_verify.report.runs artifacts

# The engine that `make verify` leaves running; its data stays.
stop: ## stop the embedded engine that a run left running
	if [ -x $(BIN)/python ]; then $(BIN)/python -m embedded stop --dir var/local/clickhouse; fi

clean: stop ## remove the local engine's data, the reports and all caches; .venv stays
	rm -rf var/local artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible

# A file's tests share an engine, so a file stays with one worker; tests/conftest.py has the order. tests/test_lint.py lints.
test: $(VENV)/.dev ## lint and all tests
	pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy, ansible-lint
	ruff check .
	ruff format --check .
	mypy module_utils/ingest_verify
	mypy library action_plugins callback_plugins ingest/qtickets_api embedded simulator
	ansible-lint --offline

init: $(VENV)/.run ## write an inventory for a server that is there already
	ansible-playbook playbooks/init.yml $(ARGS)

# ARGS="--kinds embedded" needs no Docker.
campaign: $(VENV)/.dev ## kill resets and restores at random moments
	python -m tests.campaign $(ARGS)

verify-docker: $(VENV)/.run ## the same way as production, on a Docker Engine
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

# Of tests/corpus, or of the folder CORPUS.
score: $(VENV)/.dev ## how many recorded cases are answered right
	python -m tests.corpus.score $(CORPUS) $(ARGS)

# Records the cases anew on the real engine; CORPUS_PYTHON has the clients of tests/corpus/clients.txt.
corpus: $(VENV)/.dev ## record the cases anew on the real engine
	python -m tests.corpus.record $(ARGS)

# Needs uv; compiles every *.in for all Python versions from 3.11 on.
catalogues: $(VENV)/.dev ## compile the report's languages
	pybabel compile --domain report --directory module_utils/ingest_verify/report/locale

sbom: $(VENV)/.dev ## what is installed, with licences: artifacts/sbom.json (CycloneDX), artifacts/licences.csv
	mkdir -p artifacts
	cyclonedx-py environment --output-format JSON --output-file artifacts/sbom.json $(VENV)
	pip-licenses --format=csv --output-file=artifacts/licences.csv

update: ## take the newest versions into the locks
	$(MAKE) lock ARGS=--upgrade

lock: ## compile the requirements' locks
	for name in requirements/target ingest/requirements requirements/run requirements/extras requirements/dev requirements/loaders; do \
		uv pip compile --quiet $(ARGS) --universal --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" $$name.in --output-file $$name.lock || exit 1; \
	done

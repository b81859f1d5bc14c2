# `make help` lists the targets. Everything runs in .venv, made from requirements/*.txt: exact versions with hashes.

BIN := .venv/bin
# Checked and formatted beside the package itself, once they exist.
CODE := $(wildcard src tests tools demo bench)

# What the caller's shell has set for other projects must not reach ours.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP MYPYPATH PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup runtime demo fmt lint test check bench tck interop clients features lock changelog clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from the locked requirements, for running, tests and lint (PYTHON=... chooses the Python)
	@PYTHON='$(PYTHON)' tools/make_venv.sh dev

runtime: ## Make .venv with the runtime requirements only
	@PYTHON='$(PYTHON)' tools/make_venv.sh run

demo: runtime ## Show two connectors exchange a technical data package (KEEP=1 leaves both running)
	@$(BIN)/python demo/run.py $(if $(KEEP),--keep)

fmt: setup ## Format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

lint: setup ## Check style, types and which module imports which
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## Run the whole test suite (ARGS="-k word" chooses)
	@$(BIN)/pytest $(ARGS)

check: lint test ## Run lint and test, as before every commit

bench: runtime ## Measure negotiations a second between two connectors on this machine (ARGS=... is passed on)
	@$(BIN)/python bench/negotiations.py $(ARGS)

tck: runtime ## Run the official Dataspace Protocol conformance kit against a Comity, both roles (needs Java 17 and Maven; ARGS=--help)
	@PYTHONPATH=tests $(BIN)/python -m conformance.tck.run $(ARGS)

interop: runtime ## Let a stock Eclipse EDC and a Comity exchange in every role (needs Java 17 and Maven; ARGS="--edc VERSION --keep FOLDER")
	@PYTHONPATH=tests $(BIN)/python -m interop.edc $(ARGS)

features: setup ## Write docs/reference/features.md anew from a run of the tests that its rows name
	@$(BIN)/python tools/features.py

clients: setup ## Let two clients of others drive whole exchanges between two connectors (ARGS="--only WORD" chooses)
	@$(BIN)/python tests/clients/run.py $(ARGS)

lock: ## Write requirements/*.txt anew (ARGS=--upgrade takes newer versions); needs Python 3.11
	@PYTHON='$(PYTHON)' tools/lock.sh $(ARGS)

changelog: setup ## Show what the fragments in changelog.d will add to CHANGELOG.md
	@$(BIN)/towncrier build --draft --version next

clean: ## Remove environments, caches and build results
	rm -rf .venv .venv-lock .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build tests/clients/.build
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# `make help` lists the targets. Everything runs in .venv, made from requirements/*.txt: exact versions with hashes.

BIN := .venv/bin
# Checked and formatted beside the package itself, once they exist.
CODE := $(wildcard src tests tools demo bench)

# What the caller's shell has set for other projects must not reach ours.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP MYPYPATH PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup runtime demo fmt lint test check bench crash cuts longline replicas double hostile power chaos fuzz tck interop clients azurite features lock changelog clean

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

test: setup ## Run the whole test suite, two tests at a time (ARGS="-k word" chooses)
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: lint test ## Run lint and test, as before every commit

bench: setup ## Measure speed, start and memory of both stores, and of an EDC beside them (ARGS="--only WORD --edc none --write docs/reference")
	@PYTHONPATH=tests $(BIN)/python bench/run.py $(ARGS)

crash: setup ## Kill processes N times (50) under negotiations and transfers, on SQLite, then PostgreSQL (STORES=... chooses): nothing is lost
	@COMITY_KILLS=$(or $(N),50) COMITY_STORM="$(or $(STORES),sqlite postgresql)" $(BIN)/pytest tests/crash/test_storm.py -s

cuts: setup ## Cut transfers N times (1000), by kills of either side, restarts and resets: exact, at most 1 MiB sent again a cut
	@COMITY_LINE_CUTS=$(or $(N),1000) $(BIN)/pytest tests/crash/test_cuts.py -s

longline: setup ## Compare a file of N MiB (16) with one plain stream over a long, lossy line between two namespaces (needs root)
	@COMITY_LONG_LINE=$(or $(N),16) $(BIN)/pytest tests/adapters/dataplane/test_long_line.py -s

replicas: setup ## Kill one replica of three and pause another, N times (10), as provider and as consumer: nothing is lost or done twice
	@COMITY_REPLICA_ROUNDS=$(or $(N),10) COMITY_REPLICA_SIDES="provider consumer" $(BIN)/pytest tests/replicas -s

double: setup ## Let processes end at N sampled pairs of points (2000) on each store, the second while the first is made good
	@COMITY_DOUBLE=$(or $(N),2000) $(BIN)/pytest tests/crash/test_points.py -s -k another_one

hostile: setup ## Try every address at every place that goes out, and N idle connections (10000)
	@COMITY_ADDRESSES=all COMITY_IDLE=$(or $(N),10000) $(BIN)/pytest tests/hostile -s

power: setup ## Cut the power N times (10000) in a recording of two connectors: nothing acknowledged is lost
	@COMITY_CUTS=$(or $(N),10000) $(BIN)/pytest tests/durability/test_power_cuts.py -s -k any_moment

chaos: setup ## Let N negotiations (5000), and a fifth as many transfers, meet a network that spoils 35 % of all messages
	@COMITY_CHAOS=$(or $(N),5000) COMITY_CHAOS_TRANSFERS=$$(( $(or $(N),5000) / 5 )) COMITY_BURSTS=all $(BIN)/pytest tests/chaos tests/pair/test_bursts.py -s

fuzz: setup ## Let a hostile partner take N steps (1000000) against the model of the state machine
	@COMITY_FUZZ_STEPS=$(or $(N),1000000) $(BIN)/pytest tests/hostile/test_machine.py

tck: runtime ## Run the official Dataspace Protocol conformance kit against a Comity, both roles (needs Java 17 and Maven; ARGS=--help)
	@PYTHONPATH=tests $(BIN)/python -m conformance.tck.run $(ARGS)

interop: runtime ## Let a stock Eclipse EDC and a Comity exchange in every role (needs Java 17 and Maven; ARGS="--edc VERSION --keep FOLDER")
	@PYTHONPATH=tests $(BIN)/python -m interop.edc $(ARGS)

features: setup ## Write docs/reference/features.md anew from a run of the tests that its rows name
	@$(BIN)/python tools/features.py

clients: setup ## Let two clients of others drive whole exchanges between two connectors (ARGS="--only WORD" chooses)
	@$(BIN)/python tests/clients/run.py $(ARGS)

azurite: setup ## Install the Azure Blob server that some tests start, and are skipped without (needs Node with npm)
	@PYTHONPATH=tests $(BIN)/python -m support.azurite

lock: ## Write requirements/*.txt anew (ARGS=--upgrade takes newer versions); needs Python 3.11
	@PYTHON='$(PYTHON)' tools/lock.sh $(ARGS)

changelog: setup ## Show what the fragments in changelog.d will add to CHANGELOG.md
	@$(BIN)/towncrier build --draft --version next

clean: ## Remove environments, caches and build results
	rm -rf .venv .venv-lock .venv.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build tests/clients/.build tests/support/azure/.build
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that is needed comes from the package index (and, for the real Medusa, npm).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STORE = examples/medusa-store
INSTALLED = $(VENV)/.installed
FROM_NPM = $(STORE)/node_modules/.installed tests/browser/node_modules/.installed
SOURCE ?=

.PHONY: help demo medusa test test-fast coverage test-pythons chaos fuzz messages schedulers lint types docs bench costs clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

%/node_modules/.installed: %/package.json
	cd $* && npm install --no-audit --no-fund --no-package-lock --loglevel=error
	@touch $@

demo: $(INSTALLED)  ## Sync a catalog into demo/catalog.db (SOURCE=URL: a live DummyJSON)
	$(BIN)/catalogsync demo $(if $(SOURCE),--source $(SOURCE))

medusa: $(STORE)/node_modules/.installed  ## Start a real Medusa store and print how to reach it
	cd $(STORE) && exec node store.mjs start

# The real Medusa and PostgreSQL take part where Node is; CATALOGSYNC_REAL=1 demands them,
# and the real schedulers too. Tests in Chromium run with CATALOGSYNC_BROWSER=1.
test: $(INSTALLED) $(if $(shell command -v npm),$(FROM_NPM))  ## All tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests
	$(BIN)/python -m pytest README.md docs

test-fast: $(INSTALLED)  ## The tests that need neither Node nor docs
	CATALOGSYNC_REAL=0 $(BIN)/python -m pytest -n 2 tests

# Measuring makes tests two to three times as long, so it has a run of its own: without the
# folders that run the same code again and again, and with fewer examples.
REPEATING = $(addprefix --ignore=tests/,browser chaos engine/test_memory.py examples fuzz history schedulers security)
coverage: $(INSTALLED)  ## Branch coverage of the fast tests
	$(BIN)/python -m coverage erase
	CATALOGSYNC_REAL=0 $(BIN)/python -m coverage run -m pytest -q -n 2 --dist loadfile --hypothesis-profile=few $(REPEATING) tests
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

TESTS ?= tests
test-pythons:  ## The fast tests on each supported Python that is installed (TESTS=...)
	$(PYTHON) -m tests.pythons $(TESTS)

chaos: $(INSTALLED)  ## Every fault, as a table: duplicates, lost, unexplained
	$(BIN)/python -m tests.chaos

messages: $(INSTALLED)  ## Every text that a person can see, on one page
	$(BIN)/python -m tests.messages

CASES ?= 100000
KIND ?=
fuzz: $(INSTALLED)  ## Hostile records, replies and files (CASES=N of them, KIND=files), as a table
	$(BIN)/python -m tests.fuzz --cases $(CASES) $(if $(KIND),--kind "$(KIND)")

schedulers: $(INSTALLED)  ## Let each scheduler of examples/schedulers fire, as a table
	$(BIN)/python -m tests.schedulers.try_all

lint: $(INSTALLED)  ## Format, rules and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(INSTALLED)  ## mypy and pyright
	$(BIN)/mypy src tests/typing examples/custom_source.py examples/custom_sink.py
	$(BIN)/pyright

docs: $(INSTALLED)  ## The documentation, into docs/_build/html
	$(BIN)/python docs/signatures.py > docs/reference/signatures.md
	$(BIN)/python docs/adapters.py > docs/reference/adapters.md
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build/html

bench: $(INSTALLED)  ## Engine cost, memory and real syncs, beside a replay and a script
	$(BIN)/python -m benchmarks

ROUNDS ?= 3
costs: $(INSTALLED)  ## Costs beside a script and dlt, into docs/reference/performance.md (ROUNDS=N)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --group benchmarks
	$(BIN)/python -m benchmarks costs --rounds $(ROUNDS) --write docs/reference/performance.md

clean:  ## Forget everything that was made
	rm -rf $(VENV) .pythons build dist demo docs/_build .coverage* .mypy_cache .pytest_cache .ruff_cache
	rm -rf $(STORE)/node_modules $(STORE)/.admin tests/browser/node_modules

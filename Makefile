# Everything that a developer needs is one word. Nothing is installed by hand: each target sets up what it uses.
PYTHON ?= python3
BIN := .venv/bin

# These look at what builds leave, or start services: they run alone, all others two at a time.
ALONE := $(addprefix tests/engine/test_,build.py classic.py cli.py context.py many.py release.py) tests/services

# What `make fuzz` runs, and for how long.
SECONDS ?= 600
TARGET ?= archive

.PHONY: demo test lint bench gallery bench-recall stock fuzz engine base classic postgresql wheels lowest clean

.venv: .venv/ready
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[keyring,postgresql]' --group dev
	touch $@

engine: ## a Docker Engine with buildx that answers; one is installed and started only where there is none
	scripts/engine.sh up

base: engine ## the images that tests and the demo build from
	scripts/base_image.sh

postgresql: ## PostgreSQL's programs; tests that start a server with them are skipped where there are none
	scripts/postgresql.sh

classic: engine ## a second engine, with the classic image store; tests on it are skipped where none can be started
	scripts/engine.sh classic

demo: .venv base ## the main job: a clean image, its leaking twin, and what the audit says of each
	$(BIN)/python scripts/demo.py

test: .venv base
	-$(MAKE) --no-print-directory classic
	-$(MAKE) --no-print-directory postgresql
	$(BIN)/python -m pytest --numprocesses 2 $(addprefix --ignore ,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv base ## how long an audit takes, against decompressing the same layers
	$(BIN)/python scripts/bench.py

.fuzz/ready: pyproject.toml
	$(PYTHON) -m venv .fuzz
	.fuzz/bin/python -m pip install --quiet --editable . atheris
	touch $@

fuzz: .fuzz/ready ## coverage-guided fuzzing of TARGET (archive, stream, layer, dockerfile or inner) for SECONDS
	.fuzz/bin/python scripts/fuzz.py $(TARGET) -max_total_time=$(SECONDS) -artifact_prefix=.fuzz/

gallery: .venv base ## every case of the leak gallery, built and audited: a table; make gallery CASES=a04 for some
	$(BIN)/python -m scripts.gallery $(CASES)

bench-recall: .venv base ## the same images under kingfisher and gitleaks, which are installed here: who finds what
	scripts/peers.sh
	$(BIN)/python -m scripts.bench_recall $(CASES)

stock: .venv base ## images of whole toolchains, with no secret in them, are clean: no false alarm, nothing unread
	$(BIN)/python scripts/stock_images.py

wheels: .venv ## every dependency has a wheel on every platform and Python that we support, beside fal too
	$(BIN)/python scripts/check_wheels.py

.lowest/ready: .venv pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .lowest
	$(BIN)/uv pip install --quiet --python .lowest/bin/python --resolution lowest-direct --editable '.[keyring,postgresql]'
	$(BIN)/uv pip install --quiet --python .lowest/bin/python --group test
	touch $@

lowest: .lowest/ready ## the unit tests, with the oldest version of each dependency that pyproject.toml takes
	.lowest/bin/python -m pytest --numprocesses 2 tests/unit

clean: ## what the targets above made here; the engines and their images stay
	rm -rf .venv .fuzz .lowest .peers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

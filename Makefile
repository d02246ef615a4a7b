# Every target sets up what it needs in .venv; nothing else on the machine is changed.
#   make demo    the whole path on recordings that the package makes itself
#   make test    every check and test
#   make bench   speed beside other tools       make wheel   a wheel for other machines
#   make lint    formatting, lints, types       make format  apply formatting
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := out/demo
RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

.PHONY: demo test lint format bench wheel build clean
.DEFAULT_GOAL := build

build: $(VENV)/.built

demo: $(VENV)/.built
	@rm -rf $(DEMO)
	$(BIN)/heartfast demo -o $(DEMO)

# pytest comes last: its closing line is the verdict.
test: lint
	cargo test --locked --quiet -p heartfast-core
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -rs

lint: $(VENV)/.built
	cargo fmt --check
	cargo clippy --locked --quiet --all-targets -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest heartfast._core --mypy-config-file pyproject.toml

format: $(VENV)/.deps
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.built
	$(BIN)/python benches/tile_job.py

# manylinux 2014 by way of zig's linker, which carries that glibc's symbols.
wheel: $(VENV)/.deps requirements-wheel.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-wheel.lock
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --zig --compatibility manylinux2014 --out dist
	$(BIN)/python tools/check_wheel.py dist

$(VENV)/.deps: requirements-dev.lock tools/need.sh
	@sh tools/need.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

# Also after a change of Python files that only the build sees; the others are used in place.
$(VENV)/.built: $(VENV)/.deps pyproject.toml $(RUST)
	PIP_QUIET=1 $(BIN)/maturin develop --release --quiet
	@touch $@

clean:
	rm -rf $(VENV) target dist $(DEMO)

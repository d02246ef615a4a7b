# Every target sets up what it needs in .venv; nothing else on the machine is changed.
#   make demo    the whole path on recordings that the package makes itself
#   make test    every check and test
#   make bench   speed beside other tools, 40 minutes (BENCH=--quick: one)
#   make learning  how good models are, on real recordings beside the checkout, an hour
#   make soak    200,000 recordings in one run, 200 killed runs, 5,000 commands with odd values, an hour
#   make bench-check   instruction counts against those on record (UPDATE=1 records them)
#   make wheel   a wheel for other machines
#   make lint    formatting, lints, types       make format  apply formatting
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := out/demo
S3 := target/tools/bin/s3s-fs
BENCH ?=
UPDATE ?=
RUST := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

.PHONY: demo test lint format bench learning soak bench-check wheel build clean
.DEFAULT_GOAL := build

build: $(VENV)/.built

demo: $(VENV)/.built
	@rm -rf $(DEMO)
	$(BIN)/heartfast demo -o $(DEMO)

# pytest comes last: its closing line is the verdict.
test: lint $(S3)
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

# The harness may use what a wheel must ask the CPU for, so that its peers have it, too.
bench: $(VENV)/.built $(VENV)/.peers
	RUSTFLAGS="$(if $(filter x86_64,$(shell uname -m)),-C target-cpu=x86-64-v3)" cargo build --locked \
		--quiet --release -p heartfast-harness --bin heartfast-harness --target-dir target/harness
	$(BIN)/python benches/targets.py $(BENCH)

learning: $(VENV)/.built
	@for bench in $(filter-out %/corpora.py,$(sort $(wildcard benches/learning/*.py))); do \
		echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

soak: $(VENV)/.built
	$(BIN)/python benches/soak.py
	HEARTFAST_MUTATIONS=2000 $(BIN)/python -m pytest -q tests/test_differential.py
	HEARTFAST_FUZZ=5000 $(BIN)/python -m pytest -q tests/test_option_values.py -k odd_values
	HEARTFAST_KILLS=30 $(BIN)/python -m pytest -q tests/test_resume.py -k killed

bench-check:
	cargo build --locked --quiet --release -p heartfast-harness --bin instructions
	$(PYTHON) benches/instructions.py $(if $(UPDATE),--update)

# manylinux 2014 by way of zig's linker, which carries that glibc's symbols.
wheel: $(VENV)/.deps requirements-wheel.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-wheel.lock
	rm -rf dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin build --release --zig --compatibility manylinux2014 --out dist
	$(BIN)/python tools/check_wheel.py dist

# The server of object stores that tests start; they skip by name without it.
$(S3):
	cargo install --quiet --locked s3s-fs --version 0.14.1 --features binary --debug --root target/tools \
		--target-dir target/s3s --config profile.dev.debug=false || echo "s3s-fs does not build" >&2

$(VENV)/.deps: requirements-dev.lock tools/need.sh
	@sh tools/need.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

# One by one: a peer that does not install is skipped.
$(VENV)/.peers: $(VENV)/.deps benches/requirements.txt
	@grep '^[a-z]' benches/requirements.txt | while read -r peer; do \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-deps "$$peer" \
			|| echo "bench: $$peer does not install, skipped" >&2; done
	@touch $@

# Also after a change of Python files that only the build sees; the others are used in place.
$(VENV)/.built: $(VENV)/.deps pyproject.toml $(RUST)
	PIP_QUIET=1 $(BIN)/maturin develop --release --quiet
	@touch $@

clean:
	rm -rf $(VENV) target dist $(DEMO)

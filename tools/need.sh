#!/bin/sh
# Says in one line what is missing to build heartfast. Usage: need.sh PYTHON
python=${1:-python3}
fail() { echo "heartfast needs $1" >&2; exit 1; }

command -v "$python" >/dev/null || fail "Python 3.10 or later, found no $python (Debian: apt install python3)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or later, found $("$python" --version 2>&1) (choose another: make PYTHON=python3.12)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "Python's venv module, found none (Debian: apt install python3-venv)"
command -v cc >/dev/null || fail "a C linker, found no cc (Debian: apt install gcc)"
command -v cargo >/dev/null || fail "cargo, found none (install Rust 1.89 or later, for example with rustup)"
rust=$(rustc --version 2>/dev/null | cut -d' ' -f2)
minor=$(echo "$rust" | cut -d. -f2)
[ "${minor:-0}" -ge 89 ] || fail "Rust 1.89 or later, found ${rust:-none} (update it, for example with rustup)"
cargo fmt --version >/dev/null 2>&1 || fail "cargo fmt, found none (rustup component add rustfmt)"
cargo clippy --version >/dev/null 2>&1 || fail "cargo clippy, found none (rustup component add clippy)"

# make setup   a virtual environment in .venv with pinned versions
# make train   the main job on the embedded world: train, sample, score, contact sheet (about two minutes on 2 cores)
# make test    everything that CI checks
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

# The processes of the tests share what they compile.
export PYTHONDONTWRITEBYTECODE :=
# Their malloc asks for large pages: fewer are made, and copied at a fork, which was a tenth of the time.
pytest test-thorough test-slow: export GLIBC_TUNABLES := glibc.malloc.hugetlb=1

.PHONY: setup train test pytest test-thorough test-slow lint style types docs site bench clean

setup: .venv/.ready

.venv/.ready: constraints.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "scenegen needs Python 3.11 or newer: make setup PYTHON=python3.11"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: setup
	$(BIN)/python -m scenegen.train experiment=demo name=demo-$$(date +%Y%m%d-%H%M%S)

# The pages are made before the tests that read them. Style and types are checked beside, where a core would wait.
test: setup
	@$(MAKE) --no-print-directory --jobs 2 pytest style types

# One process per core, each with one thread; a file's tests stay together, so what they share is made once. Their order
# is that of tests/conftest.py. It is the same everywhere: what lies in ../shared is compared by .ci/run.
pytest: setup docs
	SCENEGEN_SHARED=none OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# The rest of the products of which `make test` runs a part.
test-thorough: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m thorough -n $(JOBS) --dist loadfile

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: style types

style: setup
	$(BIN)/ruff check .
	$(BIN)/bandit -q -c pyproject.toml -r src

types: setup
	$(BIN)/pyright src docs benchmarks tests

docs: setup
	$(BIN)/python docs/options_page.py --out docs/options.md
	$(BIN)/python docs/losses_page.py --out docs/losses.md

site: setup
	$(BIN)/mkdocs build --strict

# The table of docs/speed.md; benchmarks that want a folder or a card are commands beside their figures there.
BENCHES := step fid lookup contextual correspondence transport losses retrieval startup exemplars

bench: setup
	mkdir -p runs
	rm -f runs/speed_rows.txt
	for name in $(BENCHES); do echo "== $$name"; SPEED_ROWS=runs/speed_rows.txt $(BIN)/python benchmarks/$$name.py || exit 1; done
	SPEED_ROWS=runs/speed_rows.txt $(BIN)/python benchmarks/rows.py docs/speed.md

clean:
	rm -rf .venv runs

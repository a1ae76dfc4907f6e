# make demo: diagnose the bundled digits GAN and write out/digits-gan.html
# make test: run the tests        make check: style, types, layers
# make bench: the benchmarks      make docs: list the docs pages
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench docs clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Separatrix needs Python 3.11 or newer'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@

demo: $(READY)
	@mkdir -p out
	$(BIN)/separatrix diagnose -o out/digits-gan.html
	@echo "The report lies at out/digits-gan.html: open it in any browser."

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

docs: $(READY)
	$(BIN)/python -m pytest tests/docs

clean:
	rm -rf $(VENV) out

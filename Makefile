# make demo    diagnose the bundled digits GAN; the report is written to out/digits-gan.html
# make test    run the tests                     make check   formatting, lint, types, layers
# make bench   run the benchmarks                make docs    run every command and example that the docs show
# make images  draw the pictures of the docs     make clean   remove the environment and the output
# All of them set up .venv first, with the versions of constraints.txt. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PINNED := -c constraints.txt --build-constraint constraints.txt

.PHONY: demo test check bench docs images clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit('Separatrix needs Python 3.11 or newer, this is ' + sys.version.split()[0] + '; say make PYTHON=python3.12 ...' if sys.version_info < (3, 11) else 0)"
	@echo "Setting up $(VENV); this takes a few minutes the first time."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	@$(BIN)/python -m pip install --quiet -e '.[dev]' $(PINNED)
	@touch $@

demo: $(READY)
	@mkdir -p out
	$(BIN)/separatrix diagnose -o out/digits-gan.html
	@echo "The report lies at $(CURDIR)/out/digits-gan.html: open it in any browser."

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n 2

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

docs: $(READY)
	$(BIN)/python -m pytest -rs tests/docs tests/examples

images: $(READY)
	$(BIN)/python docs/make_images.py

clean:
	rm -rf $(VENV) out

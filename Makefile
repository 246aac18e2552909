# `make report` and `make test` set up everything from nothing: a virtual environment in .venv, filled by uv from requirements.txt.

PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: report docs test check bench lint format lock clean
report: .venv/ready
	$(BIN)/python -m snakemake --cores $(CORES) --quiet rules $(ARGS)
	@echo "The report is $(CURDIR)/reports/index.html"

# For daily work, some two minutes: lint, types and the fast tests.
check: lint
	$(TESTS) -m "not slow and not road" $(ARGS)

# The page from results/recorded alone, as it is kept in docs/, and README's picture of it where there is a headless Chromium.
docs: .venv/ready
	$(BIN)/python -m workflow docs
	$(BIN)/python docs/picture.py

# All tests, or those of one file: make test ARGS=tests/effconv/test_mask.py
test: .venv/ready
	$(TESTS) $(ARGS)

# CPU only, some three minutes (five with bfloat16): the suite's training step against the usual loop, and EffConv's own layers and search.
bench: .venv/ready
	for name in engine_cpu effconv_same_conv effconv_search_step; do $(BIN)/python -m benchmarks.$$name || exit 1; done

lint: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/snakefmt --check Snakefile workflow/rules

format: .venv/ready
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/snakefmt Snakefile workflow/rules

# uv where it is installed, else one of its own, from the package index that pip is set up for.
.venv/ready: requirements.txt
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then uv=uv; \
	 else $(BIN)/python -m pip install --quiet uv && uv=$(BIN)/uv; fi; \
	 echo "Setting up .venv from requirements.txt (some 6 GB with CUDA's libraries; a minute or two)"; \
	 $$uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	@touch $@

lock: .venv/ready
	PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip compile pyproject.toml --extra suite --extra dev --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --upgrade --output-file requirements.txt

clean:
	rm -rf .venv .snakemake reports/index.html reports/tables reports/figures results/smoke

# Every target below sets itself up: it needs make, Python >= 3.11 and (on Debian and Ubuntu) the
# package python3-venv.
PYTHON ?= python3
VENV ?= .venv
TEXT ?= Good morning. The boats came home before the storm.

INSTALLED := $(VENV)/.installed
PRACTICE := recipes/ljspeech/exp/practice
# run.sh and the tools find Python on the PATH.
# Two processes of one thread each: the tests are small, and more threads only wait for each other.
TESTING = OMP_NUM_THREADS=1 python -m pytest -n 2
IN_VENV = PATH="$$(cd "$(VENV)/bin" && pwd):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow lint docs figures clean

help:
	@echo "make demo       speak into out.wav; then finetune on the practice clips, speak into demo.wav"
	@echo "make test       style, types and tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make lint       style and types only"
	@echo "make docs       the pages of docs/ as a site, in site/"
	@echo "make figures    tables of README.md and docs/, from docs/results/*.json and voices"
	@echo "make clean      remove caches and builds; data, results and $(VENV) stay"

venv: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt tools/install.sh
	bash tools/install.sh "$(PYTHON)" "$(VENV)"
	@touch "$@"

# In fp32: a voice so little trained may be too unsteady for int8, which the export then refuses.
demo: $(INSTALLED)
	$(IN_VENV) tts-kit say "$(TEXT)" -o out.wav
	@echo "out.wav: the voice that ships. Now the recipe finetunes from its weights, in minutes."
	$(IN_VENV) recipes/ljspeech/run.sh --corpus practice --conf conf/practice.yaml --init-from kathleen \
		--profile fp32 --stage 0 --stop-stage 5
	$(IN_VENV) tts-kit say --voice "$(PRACTICE)/voice" "$(TEXT)" -o demo.wav
	@echo "demo.wav: the same after minutes on 60 clips of another speaker. It shows that the whole"
	@echo "way works; it is no clearer than out.wav."

lint: $(INSTALLED)
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy

test: lint
	$(IN_VENV) $(TESTING)

test-slow: $(INSTALLED)
	$(IN_VENV) $(TESTING) -m slow

docs: $(INSTALLED)
	$(IN_VENV) python -m mkdocs build --strict

figures: $(INSTALLED)
	$(IN_VENV) python tools/figures.py

clean:
	rm -rf build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis out.wav demo.wav
	find tts_kit export runtime tests recipes tools -name __pycache__ -type d -prune -exec rm -rf {} +

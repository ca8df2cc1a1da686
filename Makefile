# report  the six notebooks at preset demo -> outputs/demo/report.html   (PRESET=..., ARGS="-p SEEDS=2")
# lab     the notebooks in JupyterLab
# test    the tests, a process a core                                    (ARGS="-k store")
# chaos   a small study killed 200 times, every artifact and input damaged (ARGS="-k kills", CHAOS_SEED=1)
# bench   speed against peers -> outputs/bench/*.json
# Each sets up .venv by itself, through pip and its own index configuration.

PRESET ?= demo
ARGS ?=
BIN := .venv/bin
READY := .venv/.installed

# A .venv whose interpreter has gone, or that was copied from elsewhere, is made again.
WHERE := import sys; print(sys.prefix)
ifneq ($(shell $(BIN)/python -c '$(WHERE)' 2>/dev/null),$(CURDIR)/.venv)
$(shell rm -f $(READY))
endif

.PHONY: report lab test chaos bench clean
.DEFAULT_GOAL := report

report: $(READY)
	$(BIN)/dsp run --preset $(PRESET) $(ARGS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(READY)
	CHAOS_KILLS=$${CHAOS_KILLS:-200} $(BIN)/python -m pytest -m "chaos or inputs" $(ARGS)

bench: $(READY)
	@mkdir -p outputs/bench
	@for name in adapt classify overlap select study; do \
		$(BIN)/python -m benchmarks.$$name --json outputs/bench/$$name.json $(ARGS) || exit 1; done

clean:
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@rm -f $@; if [ "$$($(BIN)/python -c '$(WHERE)' 2>/dev/null)" = "$(CURDIR)/.venv" ]; then exit 0; fi; \
	python=; for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "No Python >= 3.11 with venv was found. Install one (on Debian: python3 and python3-venv)" >&2; \
		echo "or name it: make $(firstword $(MAKECMDGOALS) report) PYTHON=/path/to/python3.12" >&2; exit 1; fi; \
	$$python -m venv --clear .venv
	@echo "Installing into .venv with $$($(BIN)/python --version). torch comes along: minutes, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# The commands of this tree. `make demo` and `make test` are the two a newcomer needs.

PORT  ?= 6543
HOST  ?= 127.0.0.1
VENV  := .venv
BIN   := $(VENV)/bin
PY    := $(BIN)/python
DONE  := $(VENV)/done

# The newest interpreter of the machine that is new enough; PYTHON= names another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

DISTRIBUTIONS := . $(patsubst %/setup.cfg,%,$(wildcard plugins/*/setup.cfg themes/*/setup.cfg))
PIP := $(PY) -m pip --disable-pip-version-check --no-input -qq

# Pyramid 2.1 warns of pkg_resources at every start; the lock holds a setuptools that has it.
export PYTHONWARNINGS := ignore:pkg_resources is deprecated

.DEFAULT_GOAL := help
.PHONY: help demo serve test faults rules check assets dist lock bench bench-load clean install develop

help:  ## What there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: assets  ## The demo company at http://127.0.0.1:6543 (PORT=, DATA=)
	@exec $(BIN)/crm serve --demo --data "$(or $(DATA),var/demo)" --host $(HOST) --port $(PORT) --end-with-parent

serve: assets  ## An empty installation at the same place (PORT=, DATA=)
	@exec $(BIN)/crm serve --data "$(or $(DATA),var)" --host $(HOST) --port $(PORT) --end-with-parent

test: develop assets  ## All tests (ARGS= goes to pytest)
	@mkdir -p $(VENV)/templates && CHAMELEON_CACHE=$(CURDIR)/$(VENV)/templates $(PY) -m pytest -n 2 $(ARGS)

faults: develop assets  ## Workers killed, servers stopped: what is promised holds, in the large form (FAULTS=20)
	@CRM_FAULTS=$(or $(FAULTS),20) $(PY) -m pytest -s -q tests/faults $(ARGS)

rules: develop  ## Rules of recurrence against another library, in the large form (RULES=5000)
	@CRM_RULES=$(or $(RULES),5000) $(PY) -m pytest -q plugins/tasks/tests/test_recurrence.py -k generated $(ARGS)

check: develop  ## ruff, mypy, import-linter, translations
	@$(BIN)/ruff check .
	@MYPYPATH=$(subst $(eval ) ,:,$(strip $(patsubst .,,$(DISTRIBUTIONS)))) $(PY) -m mypy crm_core bench \
		$(wildcard plugins/*/crm_* themes/*/crm_*)
	@$(BIN)/lint-imports
	@$(PY) -m crm_core.i18n check

assets: install  ## The bundle of the browser and the compiled translations
	@$(PY) -m crm_core.i18n compile
	@$(PY) -m crm_core.assets build

dist: develop assets  ## A wheel of every distribution, in dist/
	@rm -rf dist
	@for d in $(DISTRIBUTIONS); do rm -rf $$d/build && \
		$(PY) -m build --wheel --no-isolation --outdir dist $$d >dist.log 2>&1 || { cat dist.log; exit 1; }; done; rm -f dist.log
	@# A wheel that forgot what tools made would install and then speak no language and show no style.
	@for w in dist/*.whl; do list=$$($(PY) -m zipfile -l $$w); \
		echo "$$list" | grep -q '\.po ' && ! echo "$$list" | grep -q '\.mo ' && { echo "$$w: no .mo file"; exit 1; }; \
		case $$w in *crm_core*) for f in static/dist/ _alembic/env.py templates/; do \
			echo "$$list" | grep -q "crm_core/$$f" || { echo "$$w: no $$f"; exit 1; }; done;; esac; echo $$w; done

lock: $(DONE)/uv  ## requirements*.lock anew from requirements*.in, for every platform
	@for n in "" -dev -node; do \
		$(VENV)/uv/bin/uv pip compile -q --no-config --universal --python-version 3.11 --upgrade --generate-hashes \
			--no-header --no-annotate -o requirements$$n.lock requirements$$n.in || exit 1; done

bench: develop assets  ## What is fast and how we know
	@$(PY) -m bench
	@$(PY) -m bench.board

bench-load: install  ## A large database to measure on (CLIENTS=1000000 DEALS=200000)
	@$(PY) -m bench.load --clients $(or $(CLIENTS),1000000)
	@$(PY) -m bench.load_deals --deals $(or $(DEALS),200000)

clean:  ## Everything that tools made; data stays
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# What is installed. A stamp is as new as the file it was made from, so that a second start asks nobody.

install: $(DONE)/own $(DONE)/node
develop: install $(DONE)/dev

$(DONE)/venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The module venv is missing: install it (on Debian: python3-venv)."; exit 1; }
	@mkdir -p $(DONE) && touch $@

$(DONE)/runtime: requirements.lock $(DONE)/venv
	@echo "Installing packages"
	@# What a source distribution is built with comes from the lock as well.
	@awk '/^[A-Za-z0-9]/ {keep = /^(setuptools|wheel)==/} keep' requirements.lock >$(DONE)/build.lock
	@$(PIP) install --require-hashes --no-deps -r $(DONE)/build.lock
	@$(PIP) install --require-hashes --no-build-isolation -r requirements.lock
	@touch $@

$(DONE)/own: $(DONE)/runtime requirements.in $(foreach d,$(DISTRIBUTIONS),$(d)/setup.cfg $(d)/pyproject.toml)
	@echo "Installing the CRM"
	@$(PIP) install --no-deps --no-build-isolation $(foreach d,$(DISTRIBUTIONS),-e ./$(d))
	@touch $@

$(DONE)/dev: requirements-dev.lock $(DONE)/own
	@echo "Installing the tools of tests"
	@$(PIP) install --require-hashes --no-build-isolation -r requirements-dev.lock
	@touch $@

# Resolves for machines that this one is not.
$(DONE)/uv: $(DONE)/venv
	@$(PY) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --disable-pip-version-check -qq uv
	@touch $@

# The bundle needs node 18; where the machine has none, a wheel brings it.
$(DONE)/node: requirements-node.lock $(DONE)/venv
	@node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || \
		{ echo "Installing node"; $(PIP) install --require-hashes -r requirements-node.lock; }
	@touch $@

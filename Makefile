# Everything a person or a machine does with this repository. `make` or `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

testbed := tests/testbed
cache := $(or $(BOXWOOD_TESTBED_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/boxwood-testbed)
target := $(abspath $(or $(CARGO_TARGET_DIR),target))
machine := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
boxwood := $(target)/release/boxwood$(if $(filter Windows_NT,$(OS)),.exe)
helper := $(target)/release/boxwood-helper-linux-$(machine)
gateway := $(target)/release/boxwood-gateway-linux-$(machine)
internet := $(target)/release/boxwood-internet-linux-$(machine)
# What the extension's package is for, in the editor's own names (linux-x64, darwin-arm64, win32-x64, …).
PLATFORM ?= linux-$(machine)
# A person wants to see a long build move; a log does not.
quiet := $(if $(CI),--quiet)
# A directory with Claude inside is worth nothing without a project; the caller's own is the default.
PROJECT ?= $(CURDIR)

export PATH := $(cache)/tools/bin:$(PATH)
export CARGO_TARGET_DIR := $(target)
# The programs under test: the same optimised build that is packaged.
export BOXWOOD_BIN := $(boxwood)
export BOXWOOD_HELPER := $(helper)
export BOXWOOD_GATEWAY := $(gateway)
export BOXWOOD_INTERNET := $(internet)

##@ Use
.PHONY: help start build server helper gateway package package-only images
help: ## Lists the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

start: engine build ## Sets up what is missing and opens Claude Code in a sandbox of PROJECT (default: this directory)
	@exec "$(boxwood)" start "$(PROJECT)"

build: server helper gateway ## Builds the optimised server and the static programs for containers beside it

server:
	@$(testbed)/tools build
	@cargo build --release --locked $(quiet) --package boxwood

helper:
	@$(testbed)/tools build
	@$(testbed)/static-program boxwood-helper "$(helper)"

gateway:
	@$(testbed)/tools build
	@$(testbed)/static-program boxwood-gateway "$(gateway)"

package: build package-only ## Packages the editor extension for this platform, server inside

# The programs for containers are there already: releases for other systems take them from a Linux build.
package-only: server extension/node_modules/.package-lock.json
	npm run --prefix extension package -- --target $(PLATFORM) --from "$(target)/release"

images: build engine ## Builds the agent images, prints their sizes and tries what they promise
	@for variant in slim python full rust; do "$(boxwood)" image build "$$variant"; done
	@"$(boxwood)" image list
	@images/test/variants

##@ Develop
.PHONY: format generate check check-server check-format check-lint check-unit check-generated check-licences check-absences check-scripts check-extension check-fakes check-portable
format: extension/node_modules/.package-lock.json ## Formats everything
	cargo fmt --all
	npm run --prefix extension format

generate: ## Writes the files that are generated from the contract
	cargo run --quiet --locked --package boxwood-protocol --bin generate

check: check-server check-extension check-fakes ## Formatting, lints, unit tests, licences, absences: no engine needed

check-server: tools check-format check-absences check-scripts check-licences check-lint check-generated check-unit

check-format:
	cargo fmt --all --check

# It asks what depends on what, which takes the packages' own lists.
check-absences:
	@cargo fetch --locked --quiet
	@$(testbed)/../architecture/absences

check-scripts:
	@shellcheck --external-sources --source-path=. .ci/run $$(grep -lrE '^#!.*\b(ba)?sh\b|shellcheck shell=' --include='*' tests/testbed tests/architecture images devcontainer-templates 2>/dev/null)

check-licences:
	@cargo fetch --locked --quiet
	cargo deny --offline --log-level warn check --hide-inclusion-graph bans licenses sources

check-lint:
	cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings

check-generated:
	cargo run --quiet --locked --package boxwood-protocol --bin generate -- --check

check-unit:
	$(testbed)/in-memory cargo nextest run --workspace --locked --exclude boxwood-e2e --cargo-quiet --status-level fail -E 'not binary(real)'

check-extension: extension/node_modules/.package-lock.json
	npm run --prefix extension check
	npm run --prefix extension test

check-fakes: tests/node_modules/.package-lock.json
	npm run --prefix tests test:fakes

# What does not depend on Linux, for the other systems the editor runs on.
check-portable: extension/node_modules/.package-lock.json
	cargo nextest run --locked --package boxwood-protocol --package boxwood-core --package boxwood-lsp
	cargo check --locked --package boxwood
	npm run --prefix extension check
	npm run --prefix extension test

##@ Test with real parts (they set up what they need)
.PHONY: test test-e2e test-e2e-user test-editor test-editor-user test-security test-devcontainer test-platforms packages fuzz perf
test: export SMOKE := 1
# What takes long and is the same for every user is done by one of the two.
is_root := $(filter 0,$(shell id -u))
test: export E2E_LEFT = $(if $(is_root),$(shell $(testbed)/shares user),none())
test: engine ## Everything: check, engine, editor, security and devcontainer tests, a short performance run
	@$(testbed)/suites check-server+check-extension+check-fakes test-e2e $(if $(is_root),test-e2e-user+)test-devcontainer$(if $(filter x64,$(machine)),+test-platforms) \
	  test-security test-editor $(if $(is_root),test-editor-user) perf

test-e2e: engine tools build internet ## Lifecycle, images, command line and the adapter against a real engine, as the current user
	cargo nextest run --locked --package boxwood-e2e --package boxwood-engine --profile engine --cargo-quiet -E '(binary(engine) + binary(real)) - ($(or $(E2E_LEFT),none()))'

test-e2e-user: engine tools build internet ## These and the security tests as an ordinary user in the engine's group (needs root, which prepares that user)
	@$(testbed)/e2e-as-user

test-editor: engine package tests/node_modules/.package-lock.json ## The packaged extension in a real editor, driven by a real browser
	@$(testbed)/editor >/dev/null
	npm run --prefix tests test:editor

test-editor-user: engine package tests/node_modules/.package-lock.json ## Its first suite as an ordinary user in the engine's group (needs root, which prepares that user)
	@$(testbed)/editor >/dev/null
	@$(testbed)/editor-as-user spine

test-security: engine tools build internet ## What must not be possible, tried for real
	cargo nextest run --locked --package boxwood-e2e --profile engine --cargo-quiet -E 'binary(security)'

test-devcontainer: engine build tests/node_modules/.package-lock.json ## The templates, judged by the official devcontainer CLI
	npm run --prefix tests test:devcontainer

# What runs programs of other platforms here is made for this kind of processor only.
vsix = $(target)/boxwood-$(1).vsix
test-platforms: engine tools build extension/node_modules/.package-lock.json ## Other platforms' packages: Windows' run by Wine, arm64's by an emulated processor, macOS' judged
	@$(testbed)/platforms check
	@$(testbed)/platforms test
	@for platform in linux-arm64 darwin-arm64 win32-x64; do $(testbed)/platforms package "$$platform" "$(target)/boxwood-$$platform.vsix"; done
	BOXWOOD_LINUX_ARM64_VSIX="$(call vsix,linux-arm64)" BOXWOOD_DARWIN_ARM64_VSIX="$(call vsix,darwin-arm64)" BOXWOOD_WIN32_X64_VSIX="$(call vsix,win32-x64)" \
	  npm run --prefix tests test:platforms

packages: build extension/node_modules/.package-lock.json ## The extension's packages of all platforms, optimised, in target/
	@for platform in linux-x64 linux-arm64 darwin-arm64 darwin-x64 win32-x64; do \
	  PROFILE=release $(testbed)/platforms package "$$platform" "$(target)/boxwood-$$platform.vsix"; \
	done

fuzz: ## Every reader of hostile bytes, guided by coverage, each for SECONDS (600) one after the other
	@$(testbed)/fuzz "$(or $(SECONDS),600)" $(TARGETS)

perf: engine build internet tests/node_modules/.package-lock.json ## Times beside docker and the devcontainer CLI, as ratios (FULL=1: more samples; SMOKE=1: as few as will do)
	npm run --prefix tests perf -- $(if $(SMOKE),--smoke)

##@ The testbed
.PHONY: engine engine-down tools clean-test internet
internet: ## Builds what stands for the internet in tests
	@$(testbed)/tools build
	@$(testbed)/static-program boxwood-internet "$(internet)"

engine: ## Sees to it that a container engine answers and has the base image
	@$(testbed)/engine up

engine-down: ## Stops the engine if it was started from this checkout
	@$(testbed)/engine down

tools:
	@$(testbed)/tools check
	@$(testbed)/tools test

clean-test: ## Removes containers, volumes and daemons that tests left behind
	@$(testbed)/clean

%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund
	@touch $@

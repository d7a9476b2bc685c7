# Everything from a fresh Debian machine with a Rust toolchain; see `make help`.
#
# Call it as yourself: cargo always runs as the caller, and only the lab (network namespaces, firewall rules, apt) goes through
# sudo. Under `sudo make` a cargo that rustup installed is not found.
#
# Every target builds the whole workspace: aws-sdk-ec2 takes minutes and 7 GB to compile, and a build of one package could resolve
# other features for it, and compile it again. `cargo build` and `cargo test` share it; a release build has its own.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.PHONY: help demo test bench evidence packages lab-setup tools package-tools build build-tests
.NOTPARALLEL:

help:
	@echo 'make demo       the whole story in a lab on this machine: an outage, the takeover, the repair'
	@echo 'make test       every test; those that need packets run in the lab, as root'
	@echo 'make bench      a release build, measured in the lab for an hour; writes tables and pictures in README.md and docs'
	@echo 'make evidence   the same and what takes longer: three hours; writes all of docs/evidence.md'
	@echo 'make packages   a release build as a .deb and an .rpm, with checksums, in $(TARGET)/packages'
	@echo 'make lab-setup  install what the lab needs (Debian packages; moto in /var/cache/natwatch-lab)'
	@echo
	@echo 'The first build takes about 5 minutes on 2 cores and 7.2 GB of memory. Not root: sudo is asked for where it is needed.'

demo: build
	$(SUDO) '$(TARGET)/debug/lab' setup
	$(SUDO) '$(TARGET)/debug/lab' demo

test: build-tests package-tools
	$(SUDO) '$(TARGET)/debug/lab' setup
	CARGO='$(CARGO)' .ci/test

bench: tools
	$(CARGO) build --locked --workspace --release
	$(SUDO) '$(TARGET)/release/lab' setup --bench
	$(SUDO) '$(TARGET)/release/lab' bench --write '$(CURDIR)/README.md' --write '$(CURDIR)/docs/bench.md' --write '$(CURDIR)/docs/evidence.md' --docs '$(CURDIR)/docs'

# Alone on the machine. What is computed and counted comes last, since it copies what was measured.
evidence: bench
	$(SUDO) '$(TARGET)/release/lab' bench --noise 30 --write '$(CURDIR)/docs/bench.md' --write '$(CURDIR)/docs/evidence.md'
	$(SUDO) '$(TARGET)/release/lab' bench --soak 60 --write '$(CURDIR)/docs/bench.md' --write '$(CURDIR)/docs/evidence.md'
	NATWATCH_BLESS=1 $(CARGO) test --locked --workspace --test odds
	NATWATCH_BLESS=1 $(CARGO) test --locked --workspace --test docs

packages: tools package-tools
	$(CARGO) build --locked --workspace --release
	packaging/build '$(TARGET)/release/natwatch' '$(TARGET)/packages'
	@cat '$(TARGET)/packages/SHA256SUMS'

lab-setup: build
	$(SUDO) '$(TARGET)/debug/lab' setup

build: tools
	$(CARGO) build --locked --workspace

build-tests: tools
	$(CARGO) test --locked --workspace --no-run

# Said once, for tests that run as root find what their caller compiled.
export NATWATCH_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/natwatch/tools

package-tools: tools
	@command -v dpkg-shlibdeps > /dev/null || { \
		echo 'make: installing what reads the libraries of a package'; \
		$(SUDO) apt-get install -y --no-install-recommends dpkg-dev || \
		{ $(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends dpkg-dev; }; }
	@CARGO='$(CARGO)' packaging/tools

# What must be there before the lab, which installs the rest, can be built.
tools:
	@command -v $(CARGO) > /dev/null || { \
		echo 'make: cargo is not in PATH. Install Rust (https://rustup.rs); if it is installed for your user, call make without sudo.' >&2; \
		exit 1; }
	@test -z '$(SUDO)' || command -v sudo > /dev/null || { \
		echo 'make: the lab needs root, and there is no sudo: install it, or call make as root.' >&2; \
		exit 1; }
	@command -v cc > /dev/null || { \
		echo 'make: installing a C compiler and linker'; \
		$(SUDO) apt-get install -y --no-install-recommends gcc libc6-dev || \
		{ $(SUDO) apt-get update && $(SUDO) apt-get install -y --no-install-recommends gcc libc6-dev; }; }
	@awk '/^(MemAvailable|SwapFree):/ { free += $$2 } \
		END { if (free && free < 7.5e6) printf "make: %.1f GB of memory are free; if the compiler is killed (signal 9) at aws-sdk-ec2, it needed 7.5 GB\n", free / 1e6 }' \
		/proc/meminfo

# Thin, for people: CMake and tools/ do the work.
PREFIX ?= /usr/local

.PHONY: demo check build bench lint format install clean
demo: build            ## trains a few-bit network on Fashion-MNIST and shows what came out
	tools/demo
check:                 ## builds with gcc and clang and runs every test; what CI runs
	tools/check
build:                 ## the release program, build/release/bitlathe
	tools/setup
	tools/build release
bench: build           ## speed beside what else is installed
	tools/bench
lint: build            ## clang-tidy over the sources
	tools/lint
format:                ## clang-format over everything
	tools/format
install: build         ## below $(PREFIX)
	cmake --install build/release --prefix $(PREFIX)
clean:
	rm -rf build

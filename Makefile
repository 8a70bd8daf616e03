# `make run` builds the console and the binary and starts it; `make test` runs all that CI runs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
SECONDS_EACH ?= 20

.PHONY: run build console test test-go test-arm64 test-web test-clients lint generate check-generated bench bench-objects bench-vectors fuzz soak data demo clean

run: build ## build everything and start the server on 127.0.0.1:9000
	exec bin/tarn serve $(ARGS)

build: console
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/tarn ./cmd/tarn

console: ## the web console, embedded in the binary
	@scripts/console

test: lint check-generated test-go test-arm64 test-clients test-web ## every test that CI runs
	@echo "all suites passed"

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

test-go:
	$(GO) test -timeout 20m $$($(GO) list ./... | grep -v /trials/clients)

test-arm64: ## builds and vets for arm64; its kernels run under qemu, where there is one
	@scripts/test-arm64

test-clients: build ## boto3, LangChain, the SDK for JavaScript, grpcurl and the command line against the running binary
	@scripts/test-clients

test-web: build ## the console in headless Chromium
	@scripts/test-web

generate: ## the generated code, from the .proto files
	@scripts/generate

check-generated: ## fails where the committed generated code is stale
	@scripts/generate --check

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./objects/... ./vectors/... ./ingest/... ./bench/...

bench-objects: ## the object layer beside bare HTTP and the raw disk; ARGS="-rounds 5 -span 2s"
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/tarn-bench ./cmd/tarn
	$(GO) build -trimpath -o bin/bench-objects ./bench/objects
	bin/bench-objects -tarn bin/tarn-bench $(ARGS)

ifdef PARTS
bench-vectors: ## nearest neighbours beside named peers (after make data); SETS="corpus glove wide long" PEERS="hnswlib faiss usearch"; or PARTS="cold,service,many,inserts,drift,growth"
	$(GO) build -trimpath -o bin/bench-vectors ./bench/vectors
	mkdir -p .data/bench-vectors/parts
	bin/bench-vectors -dir .data/bench-vectors/parts -parts $(PARTS) $(ARGS)
else
bench-vectors:
	@scripts/bench-vectors
endif

fuzz: ## SECONDS_EACH of each fuzz target
	@scripts/fuzz $(SECONDS_EACH)

soak: ## the long forms of the tests
	TARN_SOAK=1 $(GO) test -count=1 -timeout 6h ./...

mutants: ## every site of the object layer that protects data, taken out: a test must notice
	$(GO) run ./trials/mutants -table docs/mutants.md $(ARGS)

data: ## the corpus: Debian's package descriptions with embeddings
	@python="$$(corpus/setup.sh)" && "$${python##*$$'\n'}" corpus/build.py

demo: build data ## the main job, end to end, with a kill -9 and two lost drives
	@demo/run

clean:
	rm -rf bin web/dist/assets

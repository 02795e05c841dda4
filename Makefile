# The commands of this project. Each works in a fresh clone on Debian 12 with Go.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
ARGS ?=

.PHONY: build run test lint bench fuzz deps

build:
	CGO_ENABLED=0 go build -trimpath -o bin/calkeeper ./cmd/calkeeper

# The main job on an embedded default: a clearinghouse, a source, a target, and both imports.
# make run ARGS=--exit ends when everything was shown.
run:
	CGO_ENABLED=0 go run ./cmd/calkeeper demo $(ARGS)

# Everything: installs what the tests need, lints, and runs all tests with the race detector.
test: deps lint
	go test -race -timeout 20m ./...

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags crashtest ./...
	go run $(STATICCHECK) ./...
	@! grep -rnE --include='*_test.go' '\b[tb]\.Skip' . | grep -v 'func drawAgain(t \*rapid.T' || { echo "a test is skipped"; exit 1; }

bench:
	go test -run '^$$' -bench . -benchmem ./...

# Each fuzz target for FUZZTIME.
FUZZTIME ?= 1m
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

deps:
	scripts/install-test-deps.sh

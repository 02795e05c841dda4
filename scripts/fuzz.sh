#!/bin/sh
# Runs every fuzz target of the module for the time given, one after the other.
set -eu

time=${1:-1m}
go list ./... | while read -r package; do
	dir=$(go list -f '{{.Dir}}' "$package")
	for target in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
	done
done

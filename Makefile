# Thin: each target is one command that you can as well type yourself.
.PHONY: test ci bench fmt

test:
	go test ./...

ci:
	.ci/run

bench:
	go test -run '^$$' -bench . -benchmem ./...

fmt:
	go tool -modfile=tools/go.mod gofumpt -w .

#!/usr/bin/env bash
# Makes the program `go` in the folder that is its argument, with Debian's copy of x/crypto.
set -euo pipefail
mkdir -p "$1"
version=$(dpkg-query -W -f '${Version}' golang-golang-x-crypto-dev)
GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$1/go-cache GOFLAGS=-trimpath \
    go build -ldflags "-X 'main.version=x/crypto ${version#*:}'" -o "$1/go" "$(dirname "$0")/peer.go"

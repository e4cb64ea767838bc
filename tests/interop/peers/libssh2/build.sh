#!/usr/bin/env bash
# Makes the program `libssh2` in the folder that is its argument, with the library that the crate
# libssh2-sys brings.
set -euo pipefail
mkdir -p "$1"
CARGO_TARGET_DIR=$1/libssh2-target cargo build --quiet --locked --manifest-path "$(dirname "$0")/Cargo.toml"
ln -sf libssh2-target/debug/libssh2-peer "$1/libssh2"

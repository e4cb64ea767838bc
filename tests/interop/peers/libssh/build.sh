#!/usr/bin/env bash
# Makes the program `libssh` in the folder that is its argument, with the system's library.
set -euo pipefail
mkdir -p "$1"
source=$(dirname "$0")/peer.c
[ "$1/libssh" -nt "$source" ] ||
    cc -std=gnu17 -O1 -g -Wall -Wextra -Wno-unused-parameter -Werror -o "$1/libssh" "$source" \
        $(pkg-config --cflags --libs libssh)

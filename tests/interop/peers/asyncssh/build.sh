#!/usr/bin/env bash
# Makes the program `asyncssh` in the folder that is its argument.
. "$(dirname "$0")/../python.sh"
mkdir -p "$1"
python_peer asyncssh "$1"

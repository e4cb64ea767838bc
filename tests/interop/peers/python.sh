# Sourced by the build.sh of a peer in Python: python_peer NAME FOLDER puts the newest of the package
# from PyPI into a virtual environment in the folder, where it serves a week, and beside it the program
# that runs NAME/peer.py.
set -euo pipefail
python_peer() {
    local name=$1 program=$2/$1 environment=$2/$1-venv source
    source=$(cd "$(dirname "${BASH_SOURCE[0]}")/$name" && pwd)
    if [ -z "$(find "$environment/complete" -mtime -7 2>/dev/null)" ]; then
        # The interpreter that the package python3-venv belongs to.
        /usr/bin/python3 -m venv --clear "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check "$name"
        touch "$environment/complete"
    fi
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$environment/bin/python3" "$source/peer.py" >"$program"
    chmod +x "$program"
}

# Sourced by the build.sh of a peer in Python: puts the newest of a package from PyPI into a virtual
# environment, and a program before it that runs peer.py.
set -euo pipefail
python_peer() {
    local name=$1 folder=$2 source
    source=$(cd "$(dirname "${BASH_SOURCE[0]}")/$name" && pwd)
    if ! "$folder/$name-venv/bin/python3" -c "import $name" 2>/dev/null; then
        rm -rf "$folder/$name-venv"
        python3 -m venv "$folder/$name-venv"
        "$folder/$name-venv/bin/pip" install --quiet --disable-pip-version-check "$name"
    fi
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$folder/$name-venv/bin/python3" "$source/peer.py" >"$folder/$name"
    chmod +x "$folder/$name"
}

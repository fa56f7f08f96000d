#!/usr/bin/env bash
# Makes (or renews) a virtual environment with everything for development, at the versions of
# constraints.txt. Usage: tools/install.sh PYTHON VENV, from the root of the repository.
set -euo pipefail

python=$1
venv=$2
cpu_index=https://download.pytorch.org/whl/cpu

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "error: $python is missing or older than 3.11; name another: make PYTHON=python3.12" >&2
    exit 1
}
"$python" -m venv "$venv" || {
    echo "error: cannot make $venv; on Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
}
pip_install() { "$venv/bin/python" -m pip install --disable-pip-version-check "$@"; }

extras=train,eval,espeak,docs,dev
if command -v nvidia-smi >/dev/null; then
    extras+=,gpu
else
    extras+=,cpu
    # On Linux the main index holds torch for CUDA, gigabytes that are of no use here. Where
    # PyTorch's own index cannot be reached, pip takes what it is configured to find.
    if timeout 15 "$venv/bin/python" -c \
        'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
        "$cpu_index/torch/" 2>/dev/null; then
        pip_install --no-deps --index-url "$cpu_index" "$(grep '^torch==' constraints.txt)"
    fi
fi

# The build backend comes first, pinned too: then the project needs no second, unpinned copy.
pip_install -c constraints.txt setuptools wheel
pip_install -c constraints.txt --no-build-isolation -e ".[$extras]"

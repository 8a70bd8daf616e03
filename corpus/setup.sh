#!/usr/bin/env bash
# Prepares a Python environment and prints its interpreter's path as the last line.
#
#   corpus/setup.sh                                  corpus/requirements.txt          in .data/venv
#   corpus/setup.sh corpus/clients-requirements.txt  corpus/clients-requirements.txt  in .data/venv-clients
#
# A file NAME-requirements.txt has the environment .data/venv-NAME, any other file FILE.txt has .data/venv-FILE. Nothing is
# installed if the file is the one that was installed last. A file with the line `# setup: --no-deps` lists all that it
# needs and is installed without looking for more. Needs Python 3.11 or newer; PYTHON names another interpreter.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
file=${1:-$root/corpus/requirements.txt}
python=${PYTHON:-python3}

say() { echo "setup: $*" >&2; }

folder() {
    local base
    base=$(basename "$file" .txt)
    case $base in
    requirements) echo "$root/.data/venv" ;;
    *) echo "$root/.data/venv-${base%-requirements}" ;;
    esac
}

# Where ensurepip is missing (Debian's python3 without python3-venv), virtualenv brings its own pip.
create() {
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 && return
    rm -rf "$venv" "$venv.tool"
    if ! "$python" -m pip install -q --disable-pip-version-check --target "$venv.tool" virtualenv; then
        say "neither venv nor pip works with $python: install python3-venv"
        exit 1
    fi
    PYTHONPATH=$venv.tool "$python" -m virtualenv -q "$venv"
    rm -rf "$venv.tool"
}

install() {
    local flags=()
    grep -qx '# setup: --no-deps' "$file" && flags=(--no-deps)
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input "${flags[@]}" -r "$file" >&2
}

[[ -r $file ]] || { say "no such file: $file"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "$python is missing or older than 3.11"; exit 1; }

venv=$(folder)
mark=$venv/installed.sha256
wanted=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest(), sys.version)' "$file")

mkdir -p "$root/.data"
exec 9>"$venv.lock"
if command -v flock >/dev/null; then flock 9; fi # two callers at once install once
if [[ ! -x $venv/bin/python || $(cat "$mark" 2>/dev/null) != "$wanted" ]]; then
    say "installing $(basename "$file") into ${venv#"$root"/}"
    create
    install
    echo "$wanted" >"$mark"
fi
echo "$venv/bin/python"

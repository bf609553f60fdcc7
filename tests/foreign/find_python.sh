#!/bin/sh
# Print the path of a Python of version $1 (3.7, 3.8): on PATH, in pyenv's folder, or of uv's; fail where there is none.
works() { "$1" -c 'import sys; raise SystemExit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$2" 2>/dev/null; }

for python in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
  if [ -n "$python" ] && works "$python" "$1"; then
    echo "$python"
    exit
  fi
done
python=$(uv python find "$1" 2>/dev/null) && works "$python" "$1" && echo "$python" && exit
echo "This needs Python $1: install it with \`pyenv install $1\` or \`uv python install $1\`." >&2
exit 1

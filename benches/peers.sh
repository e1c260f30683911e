#!/usr/bin/env bash
# This program and its peers on the same files, in one run on one machine: writes docs/performance.md.
#
#   benches/peers.sh            1 and 10 minutes (a few minutes of work, 200 MB of scratch)
#   benches/peers.sh --long     60 and 180 minutes as well (8 GB of scratch)
#
# Installs the peers that come from PyPI into benches/peers/. ffmpeg, sox and GNU time are the system's
# (Debian: apt install ffmpeg sox time); those that are missing are said to be missing.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
venv=benches/peers/venv
if ! "$venv/bin/python" -c 'import librosa, smstools' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet sms-tools librosa || echo "peers from PyPI could not be installed; going on without" >&2
fi
cargo build --release
cargo build --release --example stages
exec "$venv/bin/python" benches/peers.py --program "$target/release/agcfix" --stages "$target/release/examples/stages" \
    --write docs/performance.md "$@"

#!/bin/sh
# Installs what netkiln needs on Debian 12, as root: the tools from Debian, Node 24 and the npm packages from npm.
# Does nothing when everything is there, and may be run again at any time.
set -eu
cd "$(dirname "$0")/.."

tools="mmdebstrap ansible squashfs-tools strace qemu-system-x86 ipxe-qemu seabios git zstd libcap2-bin attr"

missing=
for tool in $tools; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$tool" 2>/dev/null)" = installed ] || missing="$missing $tool"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup: these Debian packages are missing, and only root can install them:$missing" >&2
    exit 2
  fi
  echo "setup: installing from Debian:$missing"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # words, on purpose
  if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
         apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed; the whole story is in $log" >&2
    exit 1
  fi
  rm -f "$log"
fi

# The stamp is the lock file that was installed from.
if ! cmp -s package-lock.json node_modules/.netkiln-lock || [ ! -x node_modules/.bin/node ]; then
  echo "setup: installing Node 24 and the npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.netkiln-lock
fi

#!/bin/sh
# Installs what netkiln needs on Debian 12, as root: the tools from Debian, Node 24 and the npm packages from npm.
# Does nothing when everything is there, and may be run again at any time.
#
#   setup.sh            what images of Debian and virtual nodes need
#   setup.sh tests      also what the other distributions and forms need, and what the tests compare with
set -eu
cd "$(dirname "$0")/.."

tools="mmdebstrap ansible squashfs-tools strace qemu-system-x86 ipxe-qemu seabios git zstd openssh-client libcap2-bin attr openssl"
case ${1-} in
  '') ;;
  tests)
    # other bases: EL, SUSE, KIWI, archives, other architectures
    tools="$tools rpm dnf zypper createrepo-c kiwi kiwi-systemdeps-core debootstrap gnupg cpio xz-utils bzip2"
    tools="$tools qemu-user-static binfmt-support arch-test"
    # other forms of the root
    tools="$tools erofs-utils cryptsetup-bin"
    # what reads our images and signatures
    tools="$tools skopeo buildah podman docker-registry minisign curl"
    # what sat reads Kubernetes with
    tools="$tools python3-kubernetes"
    # what reads nodes' data
    tools="$tools cloud-init"
    # nodes to configure, and shells in images
    tools="$tools openssh-server"
    ;;
  *)
    echo "setup: unknown word: $1 (there is: tests)" >&2
    exit 2
    ;;
esac

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
  # Only its parsers are wanted: with this file, which it looks for itself, it leaves the host alone when that boots.
  case $missing in *cloud-init*) mkdir -p /etc/cloud && touch /etc/cloud/cloud-init.disabled ;; esac
  # shellcheck disable=SC2086 # words, on purpose
  if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
         apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed; the whole story is in $log" >&2
    exit 1
  fi
  rm -f "$log"
  # Debian starts them on all addresses; the tests start their own on loopback.
  case $missing in *openssh-server*) systemctl disable --now ssh.service ssh.socket >/dev/null 2>&1 || true ;; esac
  case $missing in *docker-registry*) systemctl disable --now docker-registry >/dev/null 2>&1 || true ;; esac
fi

# The stamp is the lock file that was installed from.
if ! cmp -s package-lock.json node_modules/.netkiln-lock || [ ! -x node_modules/.bin/node ]; then
  echo "setup: installing Node 24 and the npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.netkiln-lock
fi

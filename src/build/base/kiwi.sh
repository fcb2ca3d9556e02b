#!/bin/sh
# Runs kiwi-ng in namespaces that sandbox.ts made. What it sees has the same paths on every machine, the rest of this
# machine is read-only for it, and its scripts, which run as root, find a /dev without disks.
#
#   kiwi.sh FOLDER NETWORK ARG...
#
# FOLDER   holds description, cache, root, tmp and home, and repository when the packages come from there
# NETWORK  yes | no
# ARG      of kiwi-ng
set -eu
folder=$1 network=$2
shift 2
if [ "$network" = no ] && [ -z "${NETKILN_CUT_OFF:-}" ]; then
  exec unshare --net -- env NETKILN_CUT_OFF=1 /bin/sh "$0" "$folder" no "$@"
fi

hostname netkiln
mount --bind "$folder" /mnt
if [ -d /mnt/repository ]; then
  # Its files are blobs of the store by other names.
  mount --bind /mnt/repository /mnt/repository
  mount -o remount,bind,ro /mnt/repository
fi
mount -o remount,bind,ro /
for path in /tmp /var/tmp /var/log /var/lib/dnf /var/cache/dnf; do
  [ ! -d "$path" ] || mount -t tmpfs -o mode=1777 tmpfs "$path"
done

mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
[ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger
mount -o remount,bind,ro /sys
mkdir /tmp/dev
mount -t tmpfs -o mode=0755,nosuid tmpfs /tmp/dev
mknod -m 666 /tmp/dev/null c 1 3
mknod -m 666 /tmp/dev/zero c 1 5
mknod -m 666 /tmp/dev/full c 1 7
mknod -m 666 /tmp/dev/random c 1 8
mknod -m 666 /tmp/dev/urandom c 1 9
mknod -m 666 /tmp/dev/tty c 5 0
ln -s /proc/self/fd /tmp/dev/fd
ln -s /proc/self/fd/0 /tmp/dev/stdin
ln -s /proc/self/fd/1 /tmp/dev/stdout
ln -s /proc/self/fd/2 /tmp/dev/stderr
mkdir -m 1777 /tmp/dev/shm
mkdir /tmp/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /tmp/dev/pts
ln -s pts/ptmx /tmp/dev/ptmx
mount -n --move /tmp/dev /dev

# debootstrap leaves its packages in the tree, where scripts of the description clean up: they are taken before.
if [ -x /usr/sbin/debootstrap ]; then
  cp /usr/sbin/debootstrap /tmp/debootstrap
  cat >/tmp/wrapper <<'WRAPPER'
#!/bin/sh
/bin/sh /tmp/debootstrap "$@" || exit
mkdir -p /mnt/cache/debootstrap
cp /mnt/root/var/cache/apt/archives/*.deb /mnt/cache/debootstrap/
WRAPPER
  chmod 755 /tmp/wrapper
  mount --bind /tmp/wrapper /usr/sbin/debootstrap
fi

cd /mnt
# Not exec: this shell stays and reaps what kiwi leaves behind.
HOME=/mnt/home kiwi-ng "$@"
# What images.sh does belongs to the tree; kiwi runs it when it makes an image of one (system/setup.py, _call_script).
if [ -e /mnt/root/image/images.sh ]; then
  mount --bind /mnt/root /mnt/root
  mount --bind /proc /mnt/root/proc
  mount --bind /dev /mnt/root/dev
  mount --bind /sys /mnt/root/sys
  chroot /mnt/root /bin/bash /image/images.sh || { echo "[ ERROR   ]: images.sh failed with exit code $?"; exit 1; }
fi

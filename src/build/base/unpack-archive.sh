#!/bin/bash
# Unpacks an archive of others into an empty folder, in namespaces that sandbox.ts made. The program that does it sees
# this machine's /usr, the folder and nothing else, and may not make device nodes.
#
#   unpack-archive.sh tar ARCHIVE TREE DECOMPRESS
#   unpack-archive.sh squashfs ARCHIVE TREE
#   unpack-archive.sh cpio ARCHIVE TREE DECOMPRESS OFFSET TO-TAR...
#
# OFFSET  bytes of ARCHIVE to leave out
# TO-TAR  command that makes a tar archive of a cpio archive on standard input
set -euo pipefail
kind=$1 archive=$2 tree=$3
shift 3

mount -t tmpfs -o size=1m,mode=0755 tmpfs /mnt
mkdir /mnt/usr /mnt/tree /mnt/dev
touch /mnt/archive /mnt/dev/null
mount --bind /dev/null /mnt/dev/null
mount --bind /usr /mnt/usr
mount --bind "$tree" /mnt/tree
mount --bind "$archive" /mnt/archive
mount -o remount,bind,ro /mnt/usr
mount -o remount,bind,ro /mnt/archive
for name in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$name" ]; then ln -s "usr/$name" "/mnt/$name"; fi
done

# sys_admin is for labels of SELinux, which are kept as all other extended attributes are.
may=chown,dac_override,fowner,fsetid,setfcap,sys_admin
inside() {
  chroot /mnt /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC \
    setpriv --no-new-privs --bounding-set "-all,+${may//,/,+}" -- "$@"
}
unpacked() { if [ "$1" = cat ]; then cat; else "$1" -dc; fi }

# Attributes of overlayfs would mean something to the mounts that the tree becomes a layer of.
untar() {
  inside tar --extract --directory=/tree --file=- --numeric-owner --same-owner --same-permissions --acls --xattrs \
    --xattrs-include='*' --xattrs-exclude='trusted.*' --warning=no-timestamp
}

case $kind in
  tar) unpacked "$1" <"$archive" | untar ;;
  squashfs)
    inside unsquashfs -force -no-progress -strict-errors -xattrs -dest /tree /archive >/dev/null
    if [ -n "$(inside getfattr -R -h -m '^trusted\.overlay\.' /tree 2>/dev/null | head -n 1)" ]; then
      echo "it holds attributes of overlayfs: it was made from an upper directory, not from a root tree" >&2
      exit 1
    fi
    ;;
  cpio)
    decompress=$1 offset=$2
    shift 2
    tail -c "+$((offset + 1))" -- "$archive" | unpacked "$decompress" | "$@" | untar
    ;;
esac

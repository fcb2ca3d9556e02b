#!/bin/bash
# dracut module: check the live root before it is mounted, report how far the boot got.

check() { return 255; }   # only when asked for by name

depends() { echo livenet; }

install() {
    inst_multiple curl sha256sum cut systemctl
    inst_simple "$moddir/netkiln-lib.sh" /lib/netkiln-lib.sh
    # livenet downloads to a file and then execs dmsquash-live-root FILE: no hook lies between, so this
    # script takes that name (livenet and dmsquash-live are dependencies: they are installed by now).
    mv "$initdir/sbin/dmsquash-live-root" "$initdir/sbin/dmsquash-live-root.mount"
    inst_script "$moddir/verify-root.sh" /sbin/dmsquash-live-root
    inst_hook pre-pivot 90 "$moddir/root-ready.sh"
}

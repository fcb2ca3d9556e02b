#!/bin/sh
# Called by livenet with the downloaded image, in the place of dmsquash-live-root.
. /lib/netkiln-lib.sh

want=$(getarg netkiln.rootfs_sha256=)
if [ -n "$want" ] && [ -f "$1" ]; then
    have=$(sha256sum < "$1" | cut -d' ' -f1)
    if [ "$have" != "$want" ]; then
        text="root image has sha256 $have, expected $want"
        echo "netkiln: REFUSED TO BOOT: $text" > /dev/kmsg
        printf '\n*** netkiln: REFUSED TO BOOT\n*** %s\n*** halted\n\n' "$text" > /dev/console
        rm -f "$1"
        netkiln_report failed "$text"
        # no shell for whoever sent the wrong bytes, no reboot loop: stop here
        systemctl halt --force --force
        while :; do sleep 3600; done
    fi
    echo "netkiln: root image verified, sha256 $have" > /dev/kmsg
fi
exec /sbin/dmsquash-live-root.mount "$@"

#!/bin/sh
# pre-pivot: the root is mounted; it gets the name servers that DHCP gave unless the image has its own.
. /lib/netkiln-lib.sh

if [ -s /etc/resolv.conf ] && [ ! -s "$NEWROOT/etc/resolv.conf" ]; then
    cp /etc/resolv.conf "$NEWROOT/etc/resolv.conf"
fi
netkiln_report root

#!/bin/sh
# Runs a command where it can log on to xrdp and leave no trace on the machine: it has its own /etc, users, logs, X displays and
# loopback interface, and the programs of a directory in /usr/local/bin. All that it starts ends with it.
# Usage: unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc sh namespaces.sh DIRECTORY COMMAND [ARGUMENT...]
set -eu
mount --bind "$1" /usr/local/bin
shift

# Two client devices: who connects to an address of the machine does so from that address.
ip link set lo up
ip address add 192.0.2.11/32 dev lo
ip address add 192.0.2.12/32 dev lo

for directory in /run /home /var/log; do
	mount -t tmpfs -o mode=755 tmpfs $directory
done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir /run/etc
cp -a /etc/. /run/etc
mount --bind /run/etc /etc

# Not exec: this shell is the first process, and waits for those that lose their parents.
"$@"

#!/bin/sh
# Installs the real clients that the tests use, xrdp and what it is tested with, Samba's domain controller, MIT's Kerberos, and the C
# compiler that the race detector needs. None of it is started: the tests run their own.
set -eu

missing=
for package in \
	gcc libc6-dev \
	curl ca-certificates python3 python3-winrm poppler-utils \
	xrdp xorgxrdp xauth xterm freerdp2-x11 xvfb iproute2 \
	samba samba-ad-provision samba-dsdb-modules samba-vfs-modules ldap-utils \
	krb5-kdc krb5-admin-server krb5-user python3-gssapi python3-requests-kerberos faketime; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "the tests need these packages; install them as root:$missing" >&2
	exit 1
fi
policy=/usr/sbin/policy-rc.d # asked before a service starts
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list
apt-get install -y -qq --no-install-recommends $missing

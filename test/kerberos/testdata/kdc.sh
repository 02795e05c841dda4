#!/bin/sh
# Makes the realm EXAMPLE.COM below a directory, and is its KDC, on loopback, until it is stopped. Programs find it with
# KRB5_CONFIG=DIRECTORY/krb5.conf. The password of alice and bob is in DIRECTORY/password, the keys of ls1.example.com in DIRECTORY/ls1.keytab.
# Usage: kdc.sh DIRECTORY
set -eu
dir=$1
password='User horse 1'
printf %s "$password" >"$dir/password"

cat >"$dir/krb5.conf" <<END
[libdefaults]
	default_realm = EXAMPLE.COM
	dns_lookup_realm = false
	dns_lookup_kdc = false
	dns_canonicalize_hostname = false
	rdns = false
	allow_rc4 = true
[realms]
	EXAMPLE.COM = {
		kdc = 127.0.0.1:88
	}
[domain_realm]
	.example.com = EXAMPLE.COM
END
cat >"$dir/kdc.conf" <<END
[kdcdefaults]
	kdc_listen = 127.0.0.1:88
	kdc_tcp_listen = 127.0.0.1:88
[realms]
	EXAMPLE.COM = {
		database_name = $dir/principal
		key_stash_file = $dir/stash
		max_life = 1d
		supported_enctypes = aes256-cts:normal aes128-cts:normal
	}
[logging]
	kdc = STDERR
END
export KRB5_CONFIG="$dir/krb5.conf" KRB5_KDC_PROFILE="$dir/kdc.conf"

kdb5_util create -s -P 'Master horse 2' >"$dir/create.log" 2>&1
# Each service has its own keys, other than in Active Directory. The name of some is the encryption that theirs are for.
kadmin.local >>"$dir/create.log" <<END
addprinc -pw "$password" alice
addprinc -pw "$password" bob
addprinc -randkey HTTP/ls1.example.com
addprinc -randkey WSMAN/ls1.example.com
addprinc -randkey host/ls1.example.com
addprinc -randkey cifs/ls1.example.com
addprinc -randkey HTTP/elsewhere.example.com
addprinc -randkey -e aes128-cts:normal HTTP/aes128.example.com
addprinc -randkey -e aes256-sha2:normal HTTP/aes256-sha2.example.com
addprinc -randkey -e aes128-sha2:normal HTTP/aes128-sha2.example.com
addprinc -randkey -e arcfour-hmac:normal HTTP/rc4.example.com
addprinc -randkey -e arcfour-hmac:normal HTTP/rc4-ticket.example.com
setstr HTTP/aes128.example.com session_enctypes aes128-cts
setstr HTTP/aes256-sha2.example.com session_enctypes aes256-sha2
setstr HTTP/aes128-sha2.example.com session_enctypes aes128-sha2
setstr HTTP/rc4.example.com session_enctypes arcfour-hmac
setstr HTTP/rc4-ticket.example.com session_enctypes aes256-cts
ktadd -k $dir/ls1.keytab -norandkey HTTP/ls1.example.com WSMAN/ls1.example.com host/ls1.example.com cifs/ls1.example.com
ktadd -k $dir/ls1.keytab -norandkey HTTP/aes128.example.com HTTP/aes256-sha2.example.com HTTP/aes128-sha2.example.com
ktadd -k $dir/ls1.keytab -norandkey HTTP/rc4.example.com HTTP/rc4-ticket.example.com
END
exec krb5kdc -n

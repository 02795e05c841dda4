"""The module kerberos, as far as requests_kerberos and winrm call it, over python3-gssapi.

Debian's python3-kerberos cannot seal messages; in its place this module lets them. GSSAPI_MECHANISM in the environment says whether tokens are
bare ones of Kerberos (krb5, the default) or within SPNEGO (spnego). The password that winrm is given is ignored: run kinit before.
"""

import base64
import os

import gssapi
from gssapi.exceptions import GSSError  # noqa: F401, for callers
from gssapi.raw import IOV, ChannelBindings, IOVBufferType, unwrap_iov, wrap_iov

GSS_C_DELEG_FLAG, GSS_C_MUTUAL_FLAG, GSS_C_REPLAY_FLAG, GSS_C_SEQUENCE_FLAG, GSS_C_CONF_FLAG, GSS_C_INTEG_FLAG = 1, 2, 4, 8, 16, 32
AUTH_GSS_CONTINUE, AUTH_GSS_COMPLETE = 0, 1
MECHANISMS = {"krb5": "1.2.840.113554.1.2.2", "spnego": "1.3.6.1.5.5.2"}


class Client:
    def __init__(self, service, flags):
        self.name = gssapi.Name(service, gssapi.NameType.hostbased_service)
        self.mechanism = gssapi.OID.from_int_seq(MECHANISMS[os.environ.get("GSSAPI_MECHANISM", "krb5")])
        self.flags, self.context, self.response = flags | GSS_C_CONF_FLAG | GSS_C_INTEG_FLAG, None, b""


def channelBindings(application_data):
    return ChannelBindings(application_data=application_data)


def authGSSClientInit(service, gssflags=GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG, principal=None):
    return AUTH_GSS_COMPLETE, Client(service, gssflags)


def authGSSClientStep(client, challenge, channel_bindings=None):
    if client.context is None:
        client.context = gssapi.SecurityContext(
            name=client.name, mech=client.mechanism, flags=client.flags, channel_bindings=channel_bindings, usage="initiate"
        )
    client.response = client.context.step(base64.b64decode(challenge) or None) or b""
    return AUTH_GSS_COMPLETE if client.context.complete else AUTH_GSS_CONTINUE


def authGSSClientResponse(client):
    return base64.b64encode(client.response).decode()


def authGSSWinRMEncryptMessage(client, message):
    iov = IOV(IOVBufferType.header, message, IOVBufferType.padding, std_layout=False)
    wrap_iov(client.context, iov, True)
    return iov[1].value + (iov[2].value or b""), iov[0].value


def authGSSWinRMDecryptMessage(client, sealed, signature):
    iov = IOV((IOVBufferType.header, False, signature), sealed, std_layout=False)
    if not unwrap_iov(client.context, iov).encrypted:
        raise ValueError("the message is not sealed")
    return iov[1].value

"""What python3-winrm and python3-requests-kerberos use of pykerberos 1.3, on top of python3-gssapi.

Debian's python3-kerberos has neither sealed messages nor channel bindings, without which python3-winrm uses neither.
"""

import base64
import os

import gssapi
from gssapi.raw import IOV, ChannelBindings, IOVBufferType, wrap_iov

GSSError = gssapi.exceptions.GSSError
GSS_C_DELEG_FLAG, GSS_C_MUTUAL_FLAG, GSS_C_SEQUENCE_FLAG = 1, 2, 8
KRB5, SPNEGO = gssapi.MechType.kerberos, gssapi.OID.from_int_seq("1.3.6.1.5.5.2")


class Client:
    def __init__(self, service, flags):
        self.name = gssapi.Name(service, gssapi.NameType.hostbased_service)
        self.flags = flags | gssapi.RequirementFlag.confidentiality | gssapi.RequirementFlag.integrity
        self.context, self.token = None, b""


def authGSSClientInit(service, gssflags, principal=None):
    return 1, Client(service, gssflags)


def channelBindings(application_data):
    return ChannelBindings(application_data=application_data)


def authGSSClientStep(client, token, channel_bindings=None):
    if client.context is None:
        mech = SPNEGO if os.environ.get("SPNEGO") else KRB5
        client.context = gssapi.SecurityContext(
            name=client.name, mech=mech, flags=client.flags, usage="initiate", channel_bindings=channel_bindings
        )
    client.token = client.context.step(base64.b64decode(token) if token else None) or b""
    return 1 if client.context.complete else 0


def authGSSClientResponse(client):
    return base64.b64encode(client.token).decode()


def authGSSWinRMEncryptMessage(client, message):
    iov = IOV(IOVBufferType.header, message, IOVBufferType.padding, std_layout=False)
    wrap_iov(client.context, iov, confidential=True)
    return iov[1].value + (iov[2].value or b""), iov[0].value


def authGSSWinRMDecryptMessage(client, message, header):
    unwrapped = client.context.unwrap(header + message)
    if not unwrapped.encrypted:
        raise ValueError("the answer is not sealed")
    return unwrapped.message

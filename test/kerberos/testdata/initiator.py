"""An initiator of MIT's Kerberos, through python3-gssapi.

The first line of input has its options. Each other one is an operation: its name, and bytes in base64, in JSON; each is answered with a line
of the resulting bytes, or an error.
"""

import base64
import json
import sys

import gssapi
from gssapi.raw import IOV, ChannelBindings, IOVBufferType, unwrap_iov, wrap_iov

options = json.loads(sys.stdin.readline())
flags = [gssapi.RequirementFlag[name] for name in options["flags"]]
bindings = ChannelBindings(application_data=options["bindings"].encode("latin1")) if options["bindings"] else None
context = gssapi.SecurityContext(
    name=gssapi.Name(options["service"], gssapi.NameType.kerberos_principal),
    mech=gssapi.MechType.kerberos,
    flags=flags,
    channel_bindings=bindings,
    usage="initiate",
)


def wrap_iov_sealed(message):
    iov = IOV(IOVBufferType.header, message, IOVBufferType.padding, std_layout=False)
    wrap_iov(context, iov, True)
    return iov[0].value, iov[1].value + (iov[2].value or b"")


def unwrap_iov_sealed(signature, sealed):
    iov = IOV((IOVBufferType.header, False, signature), sealed, std_layout=False)
    if not unwrap_iov(context, iov).encrypted:
        raise ValueError("not sealed")
    return [iov[1].value]


def unwrap(token):
    message, encrypted, _ = context.unwrap(token)
    if not encrypted:
        raise ValueError("not sealed")
    return [message]


operations = {
    "step": lambda token: [context.step(token or None) or b"", b"complete" if context.complete else b""],
    "wrap": lambda message: [context.wrap(message, True).message],
    "unwrap": unwrap,
    "wrap_iov": wrap_iov_sealed,
    "unwrap_iov": unwrap_iov_sealed,
    "mic": lambda message: [context.get_signature(message)],
    "verify": lambda message, mic: [context.verify_signature(message, mic) and b"" or b""],
}
for line in sys.stdin:
    operation, *arguments = json.loads(line)
    try:
        result = operations[operation](*(base64.b64decode(a) for a in arguments))
        answer = {"result": [base64.b64encode(r).decode() for r in result]}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)

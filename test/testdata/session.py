"""A session of python3-winrm: takes operations as lines of JSON, and answers each with a line of JSON.

A line with options of winrm.protocol.Protocol, the first one, begins a session anew, and has no answer.

Everything goes through winrm.protocol.Protocol as it is installed: its headers, its transport, its errors.
"""

import json
import sys
import uuid

import xmltodict
from winrm.exceptions import WinRMError, WinRMTransportError
from winrm.protocol import Protocol

for line in sys.stdin:
    operation = json.loads(line)
    if "endpoint" in operation:
        protocol = Protocol(**operation)
        continue
    request = {
        "env:Envelope": protocol._get_soap_header(
            resource_uri=operation["uri"], action=operation["action"], message_id=uuid.uuid4()
        )
    }
    if operation["selectors"]:
        request["env:Envelope"]["env:Header"]["w:SelectorSet"] = {
            "w:Selector": [{"@Name": name, "#text": text} for name, text in operation["selectors"].items()]
        }
    request["env:Envelope"]["env:Body"] = xmltodict.parse(operation["body"]) if operation["body"] else {}
    try:
        answer = protocol.send_message(xmltodict.unparse(request))
        answer = {"answer": answer.decode() if isinstance(answer, bytes) else answer}
    except WinRMTransportError as error:
        answer = {"fault": f"{error.code} {error.response_text.decode()}"}
    except WinRMError as error:
        answer = {"fault": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)

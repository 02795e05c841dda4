"""Sends envelopes with python3-winrm. Takes its options and the envelopes as JSON, and answers with a list of JSON."""

import json
import sys

from winrm.exceptions import InvalidCredentialsError, WinRMError
from winrm.protocol import Protocol

job = json.load(sys.stdin)
protocol = Protocol(**job["options"])
answers = []
for envelope in job["envelopes"]:
    try:
        answer = protocol.send_message(envelope)
        if isinstance(answer, str):  # so python3-winrm passes on what should have been sealed, and is not
            sys.exit("the answer is not sealed:\n" + answer)
        answers.append(answer.decode())
    except InvalidCredentialsError:
        answers.append("401")
    except WinRMError as error:
        answers.append(str(error))
json.dump(answers, sys.stdout)

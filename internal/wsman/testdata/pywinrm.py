"""Talks to a WS-Management server with pywinrm and prints what it got as JSON."""
import json
import sys
import xml.etree.ElementTree as ET

import winrm.exceptions
import winrm.protocol
import xmltodict

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/"
N = "{http://schemas.xmlsoap.org/ws/2004/09/enumeration}"
W = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"

protocol = winrm.protocol.Protocol(
    endpoint=sys.argv[1], transport="plaintext", username="alice", password="Secret1!",
    operation_timeout_sec=2, read_timeout_sec=20)


def send(action, uri, body=None, selectors=None):
    """Sends a message with the headers that pywinrm makes, and returns the one element in the Body of the reply."""
    envelope = protocol._get_soap_header(action=action, resource_uri=uri)
    if selectors:
        envelope["env:Header"]["w:SelectorSet"] = {
            "w:Selector": [{"@Name": name, "#text": value} for name, value in selectors.items()]}
    envelope["env:Body"] = body or {}
    reply = ET.fromstring(protocol.send_message(xmltodict.unparse({"env:Envelope": envelope})))
    sent = envelope["env:Header"]["a:MessageID"]
    assert reply.findtext(".//{http://schemas.xmlsoap.org/ws/2004/08/addressing}RelatesTo") == sent
    return reply.find("{http://www.w3.org/2003/05/soap-envelope}Body")[0]


def properties(element):
    return {child.tag.split("}")[-1]: child.text for child in element}


result = {"get": properties(send(TRANSFER + "Get", WMI + "Test_Pack", selectors={"PackId": "2"}))}

reply = send(ENUMERATION + "Enumerate", WMI + "*", {"n:Enumerate": {
    "w:OptimizeEnumeration": None,
    "w:MaxElements": "2",
    "w:Filter": {"@Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL", "#text": "select PackId, Description from Test_Pack"},
}})
items = [properties(item) for item in reply.find(W + "Items")]
pulls = 0
while reply.findtext(N + "EnumerationContext"):
    reply = send(ENUMERATION + "Pull", WMI + "*", {"n:Pull": {
        "n:EnumerationContext": reply.findtext(N + "EnumerationContext"), "n:MaxElements": "2"}})
    items += [properties(item) for item in reply.find(N + "Items")]
    pulls += 1
result["items"], result["pulls"] = items, pulls

result["invoke"] = properties(send(WMI + "Test_Pack/Install", WMI + "Test_Pack", {"p:Install_INPUT": {
    "@xmlns:p": WMI + "Test_Pack", "p:AgreementType": "1", "p:sNumber": "1234567", "p:LicenseCount": "5"}}))

try:
    send(TRANSFER + "Get", WMI + "Test_Pack", selectors={"PackId": "29"})
except winrm.exceptions.WinRMError as e:
    result["fault"] = str(e)

try:
    send(TRANSFER + "Get", WMI + "Test_Pack", selectors={"PackId": "904"})
except winrm.exceptions.WinRMOperationTimeoutError:
    result["timeout"] = True

protocol.transport.password = "wrong"
protocol.transport.session = None
try:
    send(TRANSFER + "Get", WMI + "Test_Site")
except winrm.exceptions.InvalidCredentialsError:
    result["rejected"] = True

print(json.dumps(result))

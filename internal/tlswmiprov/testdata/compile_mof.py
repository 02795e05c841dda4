"""Compiles tlswmiprov.mof with pywbem's MOF compiler and compares what it understood with tlswmiprov.json.

pip install pywbem, then: python3 compile_mof.py
"""

import json
import pathlib
import sys

from pywbem import MOFCompiler, MOFWBEMConnection

here = pathlib.Path(__file__).parent
contract = json.loads((here / "tlswmiprov.json").read_text())
qualifiers = here / ".." / ".." / "cim" / "testdata" / "qualifiers.mof"

connection = MOFWBEMConnection()
compiler = MOFCompiler(handle=connection, verbose=False)
# Beside the declarations of the qualifiers that WriteMOF uses.
compiler.compile_string(qualifiers.read_text() + (here / "tlswmiprov.mof").read_text(), contract["namespace"])
classes = connection.classes[contract["namespace"]]

wrong = []
for name, want in contract["classes"].items():
    got = classes[name]
    if [p["name"] for p in want["properties"]] != list(got.properties):
        wrong.append(f"{name}: properties {list(got.properties)}")
    if {m["name"] for m in want["methods"]} != set(got.methods):
        wrong.append(f"{name}: methods {list(got.methods)}")
    for p in want["properties"]:
        if got.properties[p["name"]].type != p["type"].lower():
            wrong.append(f"{name}.{p['name']}: {got.properties[p['name']].type}")
        if ("Key" in got.properties[p["name"]].qualifiers) != p["key"]:
            wrong.append(f"{name}.{p['name']}: key")
    for m in want["methods"]:
        method = got.methods[m["name"]]
        if ("Static" in method.qualifiers) != m["static"]:
            wrong.append(f"{name}.{m['name']}: static")
        if [p["name"] for p in m["parameters"]] != list(method.parameters):
            wrong.append(f"{name}.{m['name']}: parameters {list(method.parameters)}")
for line in wrong:
    print(line)
print(len(contract["classes"]), "classes compiled,", len(wrong), "disagree")
sys.exit(bool(wrong))

package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"calkeeper/internal/clearinghouse"
)

// What the JSON file holds: the license servers, and credentials of which each works once.
type (
	serverJSON struct {
		Name            string `json:"name"`
		WSMan           string `json:"wsman"`
		WSMans          string `json:"wsmans"`
		User            string `json:"user"`
		Password        string `json:"password"`
		LicenseServerID string `json:"licenseServerId"`
		ProductID       string `json:"productId"`
		Dir             string `json:"dir"`
		// SessionHost is one that may ask the server for CALs, of which some are free; nil for the source.
		SessionHost *sessionHostJSON `json:"sessionHost,omitempty"`
		// Accounts are those that may do less; nil for the source.
		Accounts []accountJSON `json:"accounts,omitempty"`
	}
	accountJSON struct {
		User     string `json:"user"`
		Password string `json:"password"`
		Role     string `json:"role"`
	}
	sessionHostJSON struct {
		Name  string `json:"name"`
		URL   string `json:"url"` // of the REST API
		Token string `json:"token"`
	}
	openJSON struct {
		LicenseNumber       string `json:"licenseNumber"`
		AuthorizationNumber string `json:"authorizationNumber"`
		holdingJSON
	}
	agreementJSON struct {
		AgreementType   uint32 `json:"agreementType"`
		AgreementNumber string `json:"agreementNumber"`
		holdingJSON
	}
	holdingJSON struct {
		ProductVersion uint32 `json:"productVersion"`
		ProductType    uint32 `json:"productType"`
		HeldBySource   uint32 `json:"heldBySource"`
		Unallocated    uint32 `json:"unallocated"`
	}
	retailJSON struct {
		LicenseCode string `json:"licenseCode"`
	}
	codeJSON struct {
		LicenseKeyPackID string `json:"licenseKeyPackId"`
	}
	unusedJSON struct {
		Open               openJSON      `json:"open"`
		Agreement          agreementJSON `json:"agreement"`
		Retail             retailJSON    `json:"retail"`
		RetailHeldBySource retailJSON    `json:"retailHeldBySource"`
		InstallCode        codeJSON      `json:"installCode"`
		ImportCode         codeJSON      `json:"importCode"`
	}
	demoJSON struct {
		Clearinghouse struct {
			URL string `json:"url"`
		} `json:"clearinghouse"`
		Source serverJSON `json:"source"`
		Target serverJSON `json:"target"`
		Unused unusedJSON `json:"unused"`
	}
)

func (p *purchase) holding() holdingJSON {
	return holdingJSON{p.ProductVersion, p.ProductType, p.held, p.Count - p.held}
}

func (m *member) json() serverJSON {
	v := serverJSON{
		Name: m.name, WSMan: m.URL(), WSMans: m.SecureURL(), User: administrator, Password: m.password, LicenseServerID: m.licenseServerID,
		ProductID: m.ProductID, Dir: m.dir,
	}
	for _, a := range m.others {
		v.Accounts = append(v.Accounts, accountJSON{a.user, a.password, string(a.role)})
	}
	return v
}

// leave tells what is left to try, on the screen and in the JSON file.
func (d *demo) leave(s *stock) error {
	v := demoJSON{Source: d.source.json(), Target: d.target.json()}
	v.Target.SessionHost = &sessionHostJSON{d.sessionHost.Name, d.target.APIURL(), d.sessionHost.token}
	v.Clearinghouse.URL = d.clearinghouse.Authority.URL
	open, agreement := s.unusedOpen, s.unusedAgreement
	v.Unused = unusedJSON{
		Open:               openJSON{open.Credentials.LicenseNumber, open.Credentials.AuthorizationNumber, open.holding()},
		Agreement:          agreementJSON{uint32(agreement.Credentials.AgreementType), agreement.Credentials.AgreementNumber, agreement.holding()},
		Retail:             retailOf(s.unusedRetail),
		RetailHeldBySource: retailOf(s.heldRetail),
		InstallCode:        codeJSON{s.unusedInstallCode.Code},
		ImportCode:         codeJSON{s.unusedImportCode.Code},
	}
	if d.JSON != "" {
		if err := d.writeJSON(v); err != nil {
			return err
		}
	}
	if d.Exit {
		return nil
	}
	return d.commands(v)
}

func retailOf(s clearinghouse.Sale) retailJSON { return retailJSON{s.Credentials.LicenseCode} }

// commands shows how to go on by hand: each of these can be pasted.
func (d *demo) commands(v demoJSON) error {
	request := filepath.Join(d.Dir, "enumerate.xml")
	if err := os.WriteFile(request, []byte(enumerate), 0o600); err != nil {
		return err
	}
	script := filepath.Join(d.Dir, "import.py")
	if err := os.WriteFile(script, []byte(fmt.Sprintf(importScript, v.Target.WSMan, v.Target.User, v.Target.Password,
		v.Unused.Open.LicenseNumber, v.Unused.Open.AuthorizationNumber, v.Unused.Open.ProductVersion, v.Unused.Open.ProductType,
		v.Source.Name, v.Source.LicenseServerID)), 0o600); err != nil {
		return err
	}
	d.say("\nTry it yourself. With curl:\n\n  curl -s -u '%s:%s' -H 'Content-Type: application/soap+xml;charset=UTF-8' --data-binary @%s %s\n",
		v.Target.User, v.Target.Password, request, v.Target.WSMan)
	d.say("\nWith NTLM, as Windows' clients do it:\n\n  curl -s --ntlm -u '%s:%s' --cacert %s -H 'Content-Type: application/soap+xml;charset=UTF-8' --data-binary @%s %s\n",
		v.Target.User, v.Target.Password, filepath.Join(v.Target.Dir, "tls.crt"), request, v.Target.WSMans)
	d.say("\nWith python3-winrm (it imports 25 more CALs from the source):\n\n  python3 %s\n", script)
	d.say("\nWith calkeeper:\n\n  export CALKEEPER_SERVER=%s CALKEEPER_PASSWORD=%s\n  calkeeper keypack list\n", v.Target.WSMan, v.Target.Password)
	d.say("  calkeeper keypack import code %s \\\n    --source-name %s --source-id %s\n", v.Unused.ImportCode.LicenseKeyPackID, v.Source.Name, v.Source.LicenseServerID)
	h := v.Target.SessionHost
	d.say("\nAs the session host %s, which counts by user, and as the administrator who looks:\n\n  export CALKEEPER_API=%s CALKEEPER_TOKEN=%s\n", h.Name, h.URL, h.Token)
	d.say("  calkeeper acquire --user alan\n  calkeeper cal list\n")
	return nil
}

const enumerate = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">
<s:Header>
<a:To>http://localhost/wsman</a:To>
<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
<a:MessageID>uuid:7f1c2a60-3a1d-4c0e-9d2b-1f6b0d7e5a11</a:MessageID>
<a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate</a:Action>
<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSLicenseKeyPack</w:ResourceURI>
</s:Header>
<s:Body><n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements></n:Enumerate></s:Body>
</s:Envelope>
`

const importScript = `from winrm.protocol import Protocol
import uuid, xmltodict

uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_TSLicenseKeyPack"
p = Protocol(endpoint=%q, transport="plaintext", username=%q, password=%q)
request = {"env:Envelope": p._get_soap_header(resource_uri=uri, action=uri + "/ImportOpenPurchaseLicenseKeyPack", message_id=uuid.uuid4())}
request["env:Envelope"]["env:Body"] = {"p:ImportOpenPurchaseLicenseKeyPack_INPUT": {
    "@xmlns:p": uri,
    "p:sLicenseNumber": %q, "p:sAuthorizationNumber": %q,
    "p:ProductVersion": %d, "p:ProductType": %d, "p:LicenseCount": 25,
    "p:sSourceLSName": %q, "p:sSourceLSProductId": %q,
}}
print(p.send_message(xmltodict.unparse(request)))
`

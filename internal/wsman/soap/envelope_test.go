package soap_test

import (
	"errors"
	"strings"
	"testing"

	"calkeeper/internal/wsman/soap"
)

func TestReadEnvelope(t *testing.T) {
	const open = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">`
	tests := []struct {
		name, text string
		header     bool
		kind       error
		want       string
	}{
		{"header and body", open + `<s:Header/><s:Body/></s:Envelope>`, true, nil, ""},
		{"body only", open + "\n <s:Body/>\n</s:Envelope>", false, nil, ""},
		{"default namespace", `<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Header/><Body/></Envelope>`, true, nil, ""},
		{"SOAP 1.1", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`, false, soap.ErrVersionMismatch, "SOAP 1.1"},
		{"SOAP of the future", `<s:Envelope xmlns:s="urn:soap-2"><s:Body/></s:Envelope>`, false, soap.ErrVersionMismatch, "not in the namespace"},
		{"no namespace", `<Envelope><Body/></Envelope>`, false, soap.ErrVersionMismatch, "not in the namespace"},
		{"no envelope", `<html><body/></html>`, false, soap.ErrVersionMismatch, `"html"`},
		{"empty", open + `</s:Envelope>`, false, soap.ErrEnvelope, "no Body"},
		{"header only", open + `<s:Header/></s:Envelope>`, false, soap.ErrEnvelope, "no Body"},
		{"two headers", open + `<s:Header/><s:Header/><s:Body/></s:Envelope>`, false, soap.ErrEnvelope, `"Header"`},
		{"two bodies", open + `<s:Body/><s:Body/></s:Envelope>`, false, soap.ErrEnvelope, `"Body" behind`},
		{"header behind body", open + `<s:Body/><s:Header/></s:Envelope>`, false, soap.ErrEnvelope, `"Header" behind`},
		{"something else", open + `<x/><s:Body/></s:Envelope>`, false, soap.ErrEnvelope, `"x"`},
		{"body of another namespace", open + `<Body/></s:Envelope>`, false, soap.ErrEnvelope, `"Body"`},
		{"text", open + `<s:Body/>x</s:Envelope>`, false, soap.ErrEnvelope, "text"},
		{"long name", "<" + strings.Repeat("x", 200) + "/>", false, soap.ErrVersionMismatch, strings.Repeat("x", 32) + `"...`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			envelope, err := soap.ReadEnvelope(mustParse(t, tt.text))
			if tt.kind != nil {
				if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want %v with %q", err, tt.kind, tt.want)
				}
				if envelope != (soap.Envelope{}) {
					t.Error("an envelope was returned together with the error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if envelope.Header.IsZero() == tt.header || !envelope.Body.Is(soap.NamespaceEnvelope, "Body") {
				t.Errorf("got %v and %v", envelope.Header.Name(), envelope.Body.Name())
			}
		})
	}
	if _, err := soap.ReadEnvelope(soap.Document{}); !errors.Is(err, soap.ErrVersionMismatch) {
		t.Errorf("empty document: %v", err)
	}
}

func TestMustUnderstand(t *testing.T) {
	tests := []struct {
		attribute string
		want      bool
		err       error
	}{
		{``, false, nil},
		{`s:mustUnderstand="true"`, true, nil},
		{`s:mustUnderstand="1"`, true, nil},
		{`s:mustUnderstand="false"`, false, nil},
		{`s:mustUnderstand="0"`, false, nil},
		{`mustUnderstand="true"`, false, nil},
		{`mustUnderstand="nonsense"`, false, nil},
		{`o:mustUnderstand="true"`, false, nil},
		{`s:mustUnderstand=""`, false, soap.ErrEnvelope},
		{`s:mustUnderstand="True"`, false, soap.ErrEnvelope},
		{`s:mustUnderstand="yes"`, false, soap.ErrEnvelope},
		{`s:mustUnderstand=" true"`, false, soap.ErrEnvelope},
	}
	for _, tt := range tests {
		doc := mustParse(t, `<h xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:o="http://schemas.xmlsoap.org/soap/envelope/" `+tt.attribute+`/>`)
		got, err := soap.MustUnderstand(doc.Root())
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.attribute, got, err, tt.want, tt.err)
		}
	}
}

//go:build linux

package kerberos_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"calkeeper/internal/auth/gss"
	"calkeeper/internal/auth/kerberos"
)

// winRM has python3-winrm send a sealed message, through testdata/kerberos.py.
func (r *realm) winRM(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:5985")
	if err != nil {
		t.Fatal(err)
	}
	s := sealedEcho{t, r.service(kerberos.Options{})}
	server := &http.Server{Handler: s, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, sessionKey{}, new(gss.Context))
	}}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	cmd := exec.Command("/usr/bin/python3", "-c", `
import winrm.protocol
p = winrm.protocol.Protocol("http://ls1.example.com:5985/wsman", transport="kerberos", username="alice", password="", message_encryption="always")
print(p.send_message("<question/>"))
`)
	cmd.Env, cmd.Stderr = append(r.environ(r.login("alice")), "PYTHONPATH="+programs), os.Stderr
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "<answer>alice@EXAMPLE.COM asks &lt;question/&gt;</answer>") {
		t.Errorf("python3-winrm: %v\n%q", err, out)
	}
}

type sessionKey struct{}

// sealedEcho is as much of WinRM as a client needs to get one sealed message answered.
type sealedEcho struct {
	t       *testing.T
	service *kerberos.Service
}

const (
	encrypted = `multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"`
	boundary  = "--Encrypted Boundary"
	octets    = "\tContent-Type: application/octet-stream\r\n"
)

func (s sealedEcho) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session := r.Context().Value(sessionKey{}).(*gss.Context)
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Negotiate "); ok {
		token, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			s.t.Error(err)
		}
		reply, c, err := s.service.NewAcceptor(gss.ChannelBindings{}).Accept(r.Context(), token)
		if err != nil {
			s.t.Error(err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		*session = c
		w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(reply))
	}
	if *session == nil {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if len(body) == 0 {
		return
	}
	head, data, found := bytes.Cut(bytes.TrimSuffix(body, []byte(boundary+"--\r\n")), []byte(octets))
	if !found || !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/encrypted") || bytes.Contains(body, []byte("question")) {
		s.t.Errorf("the client sends %q", body)
		return
	}
	n := 4 + binary.LittleEndian.Uint32(data)
	message, err := (*session).Unwrap(data[4:n], data[n:])
	if err != nil || !bytes.Contains(head, fmt.Appendf(nil, "Length=%d\r\n", len(message))) {
		s.t.Errorf("%v: %s", err, head)
	}
	answer := fmt.Appendf(nil, "<answer>%s asks %s</answer>", (*session).Initiator().Name,
		strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(string(message)))
	signature, sealed, err := (*session).Wrap(answer)
	if err != nil {
		s.t.Error(err)
	}
	w.Header().Set("Content-Type", encrypted)
	fmt.Fprintf(w, "%s\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"+
		"%s\r\n%s%s%s%s%s--\r\n", boundary, len(answer), boundary, octets, binary.LittleEndian.AppendUint32(nil, uint32(len(signature))), signature, sealed, boundary)
}

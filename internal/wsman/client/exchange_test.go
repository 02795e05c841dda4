package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calkeeper/internal/wsman/client"
	"calkeeper/internal/wsman/soap"
)

// identifyError returns the error of Identify against a server that gives one answer.
func identifyError(t *testing.T, a answer, change ...func(*client.Options)) error {
	t.Helper()
	_, err := newServer(t, a).client(t, change...).Identify(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	return err
}

func TestUnauthorized(t *testing.T) {
	anonymous := func(o *client.Options) { o.User, o.Password = "", "" }
	offer := func(values ...string) http.Header { return http.Header{"Www-Authenticate": values} }
	tests := []struct {
		name   string
		header http.Header
		change []func(*client.Options)
		want   string
	}{
		{"wrong password", offer("Negotiate", `Basic realm="WSMAN"`), nil, "does not accept the user name and password (HTTP 401)"},
		{"no offer", nil, nil, "does not accept the user name and password (HTTP 401)"},
		{"Basic is off", offer("Negotiate", "Kerberos"), nil, "Basic authentication is not among what it accepts: Negotiate, Kerberos"},
		{"several in one", offer(`Digest realm="a", nonce="b", qop="c d", Kerberos`), nil, "accepts: Digest, Kerberos (HTTP"},
		{"anonymous", offer("Basic"), []func(*client.Options){anonymous}, "no user name was given"},
		{"hostile", offer(strings.Repeat("A,", 50), "B@d", strings.Repeat("B", 1000)), nil, "accepts: A, A, A, A, A, A, A, A (HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := identifyError(t, answer{status: 401, body: "<html>", contentType: "text/html", header: test.header}, test.change...)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %q; want %q in it", err, test.want)
			}
			var fault *client.Fault
			if !errors.Is(err, client.ErrUnauthorized) || !errors.As(err, &fault) || fault.HTTPStatus != 401 {
				t.Errorf("the error is no HTTP 401: %v", err)
			}
		})
	}
}

func TestRepliesThatMakeNoSense(t *testing.T) {
	const (
		empty  = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>`
		soap11 = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>`
	)
	tests := []struct {
		name string
		answer
		is   error
		want string
	}{
		{"HTML", answer{body: "<html><p>Welcome</html>", contentType: "text/html; charset=utf-8"}, client.ErrReply, `23 bytes of type "text/html"`},
		{"nothing", answer{body: ""}, client.ErrReply, "0 bytes"},
		{"no charset", answer{body: empty, contentType: "application/soap+xml;charset=koi8-r"}, client.ErrReply, "koi8-r"},
		{"SOAP 1.1", answer{body: soap11}, client.ErrReply, "SOAP 1.1"},
		{"a DTD", answer{body: "<!DOCTYPE a>" + empty}, client.ErrReply, "document type"},
		{"another Body", answer{body: empty}, client.ErrReply, "no IdentifyResponse"},
		{"a wrong path", answer{status: 404, body: "not found", contentType: "text/plain"}, client.ErrNoService, "usually /wsman (HTTP 404)"},
		{"a wrong method", answer{status: 405}, client.ErrNoService, "HTTP 405"},
		{"forbidden", answer{status: 403}, client.ErrAccessDenied, "HTTP 403"},
		{"a slow gateway", answer{status: 504, body: "<html>"}, client.ErrTimedOut, "HTTP 504"},
		{"a broken gateway", answer{status: 502, body: "<html>"}, nil, "does not serve the request (HTTP 502)"},
		{"an error with an envelope", answer{status: 500, body: empty}, nil, "does not serve the request (HTTP 500)"},
		{"a redirect", answer{status: 307, header: http.Header{"Location": {"https://u:" + password + "@license.example.com/wsman?" + password}}},
			client.ErrReply, "redirects to https://license.example.com/wsman;"},
		{"a redirect to nowhere", answer{status: 302}, client.ErrReply, "another place"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := identifyError(t, test.answer)
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("the error is not %q: %v", test.is, err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), password) {
				t.Errorf("the error is %q; want %q in it", err, test.want)
			}
		})
	}
}

func TestReplyToAnotherRequest(t *testing.T) {
	s := newServer(t, answer{body: strings.ReplaceAll(fixture(t, "get-keypack.xml"), "RELATES-TO", "uuid:another")})
	if _, err := s.client(t).Get(t.Context(), "Win32_X", nil); !errors.Is(err, client.ErrReply) || !strings.Contains(err.Error(), "RelatesTo") {
		t.Errorf("got %v", err)
	}
}

// TestErrorsHideThePassword has a server repeat the password, and the token of Basic authentication, wherever it can.
func TestErrorsHideThePassword(t *testing.T) {
	const secret = `Pa55"word`
	token := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	fault := strings.NewReplacer("Access is denied.", secret+" "+token+" is denied", "s:Sender", secret, "AccessDenied", secret).
		Replace(fixture(t, "fault-access-denied.xml"))
	for _, body := range []string{
		"<Pa55/>", "<" + token + "/>", fault, strings.ReplaceAll(fault, `Code="5"`, `Code="`+token+`"`),
		strings.ReplaceAll(fault, "is denied", strings.Repeat("x", 390)+secret),
	} {
		for _, status := range []int{200, 500} {
			err := identifyError(t, answer{status: status, body: body, contentType: "x/" + secret}, func(o *client.Options) { o.Password = secret })
			if text := err.Error(); strings.Contains(text, secret) || strings.Contains(text, token) || strings.Contains(text, `Pa55\"word`) {
				t.Errorf("the error shows the password: %s", text)
			}
			var f *client.Fault
			if errors.As(err, &f) && strings.Contains(f.Error()+f.Reason+f.Provider+f.Code+f.Subcode, secret) {
				t.Errorf("the fault shows the password: %+v", f)
			}
		}
	}
	// net/http quotes what it cannot read.
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close()
		if _, err := io.WriteString(connection, "HTTP/1.1 Pa55\"word "+token+"\r\n\r\n"); err != nil {
			t.Error(err)
		}
	}))
	defer broken.Close()
	c := (&server{Server: broken}).client(t, func(o *client.Options) { o.Password = secret })
	_, err := c.Identify(t.Context())
	if err == nil || strings.Contains(err.Error(), `Pa55\"word`) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), token) {
		t.Errorf("the error is %v", err)
	}
}

func TestReplyInUTF16(t *testing.T) {
	for _, charset := range []soap.Charset{soap.UTF16LE, soap.UTF16BE} {
		body := charset.Encode(nil, []byte(strings.ReplaceAll(fixture(t, "identify.xml"), "Microsoft", "Größe €😀")))
		s := newServer(t, answer{body: string(body), contentType: charset.ContentType()})
		if got, err := s.client(t).Identify(t.Context()); err != nil || got.ProductVendor != "Größe €😀 Corporation" {
			t.Errorf("%s: got %+v, %v", charset, got, err)
		}
	}
}

func TestOversizedReply(t *testing.T) {
	const limit = 10_000
	fits := fixture(t, "identify.xml")
	fits += strings.Repeat(" ", limit-len(fits))
	s := newServer(t, answer{body: fits}, answer{body: fits + " "}, answer{body: fits + " ", status: 500})
	c := s.client(t, func(o *client.Options) { o.MaxEnvelopeSize = limit })
	if _, err := c.Identify(t.Context()); err != nil {
		t.Errorf("a reply that fits exactly: %v", err)
	}
	for range 2 {
		if _, err := c.Identify(t.Context()); !errors.Is(err, client.ErrTooLarge) || !strings.Contains(err.Error(), "10000") {
			t.Errorf("a reply that is one byte too long: %v", err)
		}
	}
}

// TestEndlessReply has a server that never stops writing.
func TestEndlessReply(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat(" ", 4096))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	_, err := (&server{Server: s}).client(t).Identify(t.Context())
	if !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// TestBrokenReply has a server that announces more than it sends.
func TestBrokenReply(t *testing.T) {
	err := identifyError(t, answer{body: "<s:Envelope", header: http.Header{"Content-Length": {"1000"}}})
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("got %v", err)
	}
}

func TestHangingServer(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees that the client hangs up only behind the body
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	defer s.Close()
	c := (&server{Server: s}).client(t)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Identify(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after a deadline: %v", err)
	}
	<-arrived

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := c.Identify(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrTimedOut) {
		t.Errorf("after a cancellation: %v", err)
	}

	stopped := errors.New("the service stops")
	because, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	go func() {
		<-arrived
		stop(stopped)
	}()
	if _, err := c.Identify(because); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancellation with a cause: %v", err)
	}
}

// TestOwnTimeout asserts that the client gives up some seconds after the OperationTimeout even if the context has no
// deadline; the clock is that of synctest.
func TestOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		c, err := client.New(client.Options{
			URL: "https://license.example.com", HTTPClient: &http.Client{Transport: hang}, Timeout: 20 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Get(t.Context(), "Win32_X", nil)
		if !errors.Is(err, client.ErrTimedOut) || !strings.Contains(err.Error(), "no reply within 30s") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestConnectionRefused(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, err := (&server{Server: s}).client(t).Identify(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "wsman: identify: "+s.URL+"/wsman: dial tcp ") {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fixture(t, "identify.xml"))
	}))
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	defer s.Close()
	_, err := (&server{Server: s}).client(t).Identify(t.Context())
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "give the certificate of its CA") {
		t.Errorf("an unknown certificate: %v", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	trusting := (&server{Server: s}).client(t, func(o *client.Options) { o.TLS = &tls.Config{RootCAs: pool} })
	if _, err := trusting.Identify(t.Context()); err != nil {
		t.Errorf("a known certificate: %v", err)
	}
}

func TestNoRandomness(t *testing.T) {
	c := newServer(t).client(t, func(o *client.Options) { o.Rand = strings.NewReader("short") })
	if _, err := c.Get(t.Context(), "Win32_X", nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

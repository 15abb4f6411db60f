// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

const secret = "sk-the-provider-key-0123456789"

// file writes a credential as a program that rotates it does, and returns its path.
func file(t *testing.T, path, text string) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "key")
	}
	noError(t, os.WriteFile(path+".new", []byte(text+"\n"), 0o600))
	noError(t, os.Rename(path+".new", path))
	return path
}

func secretSource(t *testing.T, ref string) upstream.Source {
	t.Helper()
	source, err := upstream.NewSecretSource(ref)
	noError(t, err)
	return source
}

// newTransport returns a transport with secret for a server.
func newTransport(t *testing.T, origin string, change func(*upstream.Config)) *upstream.Transport {
	t.Helper()
	config := upstream.Config{Name: "main", Origin: origin}
	if change != nil {
		change(&config)
	}
	if config.Source == nil {
		config.Source = secretSource(t, "file:"+file(t, "", secret))
	}
	transport, err := upstream.New(config)
	noError(t, err)
	return transport
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// send makes a request and returns the response with its body.
func send(t *testing.T, transport http.RoundTripper, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := transport.RoundTrip(r)
	noError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	noError(t, err)
	return response, string(body)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	noError(t, err)
	return r
}

func TestNewReportsAllErrors(t *testing.T) {
	_, err := upstream.New(upstream.Config{
		Name: strings.Repeat("n", 129), Origin: "http://api.example.com", Source: (*upstream.Rotator)(nil), Header: "a b",
		Strip: []string{"x", ""}, Base: (*http.Transport)(nil), Observer: (*events)(nil),
	})
	for _, field := range []string{"Name", "Origin", "Source", "Header", "Strip[1]", "Base", "Observer"} {
		if want := "upstream: Config." + field + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New error = %v, want %s", err, want)
		}
	}
	if _, err := upstream.New(upstream.Config{}); err == nil || !strings.Contains(err.Error(), "Config.Name: required") {
		t.Errorf("New without a name: error = %v", err)
	}
	for _, origin := range []string{"", "https://api.example.com/", "https://api.example.com/v1", "https://u@api.example.com", "ftp://api.example.com"} {
		if _, err := upstream.New(upstream.Config{Name: "main", Origin: origin, Source: secretSource(t, "file:"+file(t, "", secret))}); err == nil {
			t.Errorf("New(Origin %q): no error", origin)
		}
	}
}

// No credential of the caller reaches the upstream, in whichever header it is.
func TestInboundCredentialsAreStripped(t *testing.T) {
	var got http.Header
	var host string
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) { got, host = r.Header, r.Host })
	inbound := []string{
		"Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Cookie", "DPoP", "Client-Cert", "Client-Cert-Chain",
		"X-Forwarded-Client-Cert", "X-Api-Key", "x-api-key", "X_Api_Key", "Api-Key", "X-Goog-Api-Key", "Signature", "Signature-Input",
		"X-Amz-Security-Token", "Idempotency-Key", "X-Idempotency-Key", "X-Own-Credential", "x-own-credential", "Connection", "Upgrade", "Te",
	}
	for header, want := range map[string]http.Header{
		"":          {"Authorization": {"Bearer " + secret}},
		"x-api-key": {"X-Api-Key": {secret}},
		"Api-Token": {"Api-Token": {secret}},
	} {
		transport := newTransport(t, origin, func(c *upstream.Config) { c.Header, c.Strip = header, []string{"x-own-credential"} })
		r := request(t, "POST", origin, "{}")
		r.Header = http.Header{"Anthropic-Version": {"2023-06-01"}, "Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"}}
		for _, name := range inbound {
			r.Header[name] = []string{"caller", "Authorization", "X-Api-Key", "Api-Token"}
		}
		r.URL.User, r.Host = url.UserPassword("caller", "caller"), "internal.example.com"
		r.Trailer = http.Header{"Authorization": {"caller"}}
		before := r.Header.Clone()
		response, _ := send(t, transport, r)
		want["Anthropic-Version"], want["Content-Type"] = []string{"2023-06-01"}, []string{"application/json"}
		want["Accept-Encoding"], want["Content-Length"], want["User-Agent"] = []string{"identity"}, []string{"2"}, []string{"Go-http-client/1.1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Header %q: headers at the upstream (-want +got):\n%s", header, diff)
		}
		if want := strings.TrimPrefix(origin, "http://"); host != want {
			t.Errorf("Host at the upstream = %s, want %s", host, want)
		}
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("RoundTrip changed the request (-want +got):\n%s", diff)
		}
		if response.Request != r {
			t.Error("the request of the response is not that of the caller")
		}
	}
}

// The credential goes to the origin only: not to a redirect, another port or scheme.
func TestOtherOriginsGetNothing(t *testing.T) {
	calls := 0
	other := serve(t, func(http.ResponseWriter, *http.Request) { calls++ })
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusTemporaryRedirect) })
	transport := newTransport(t, origin, nil)
	for _, target := range []string{other, strings.Replace(origin, "http:", "https:", 1), origin + "0", "http://127.0.0.1/"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", target, http.NoBody)
		if err != nil {
			continue // a port above 65535
		}
		if _, err := transport.RoundTrip(r); !errors.Is(err, upstream.ErrOrigin) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("RoundTrip(%s) error = %v, want ErrOrigin", target, err)
		}
	}
	if _, err := (&http.Client{Transport: transport}).Get(origin); !errors.Is(err, upstream.ErrOrigin) {
		t.Errorf("Get with a redirect: error = %v, want ErrOrigin", err)
	}
	if calls != 0 {
		t.Errorf("the other server got %d requests", calls)
	}
}

// A file that changes is used from the next call on, and a call that is refused with
// the old credential is repeated with the new one.
func TestRefusedCallsAreRepeated(t *testing.T) {
	path := file(t, "", "old-credential")
	good := "old-credential"
	var bodies []string
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token != good {
			if r.URL.Path == "/switch" && token == "old-credential" {
				file(t, path, good) // the operator writes it now
			}
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, "Incorrect API key provided: %s, see http://%s", token, r.Host)
		}
	})
	seen := &events{}
	transport := newTransport(t, origin, func(c *upstream.Config) {
		c.Source, c.Observer = secretSource(t, "file:"+path), seen
	})
	call := func(path string, repeatable bool, status, requests int) {
		t.Helper()
		bodies = nil
		r := request(t, "POST", origin+path, "the body")
		if !repeatable {
			r.GetBody = nil
		}
		response, body := send(t, transport, r)
		if response.StatusCode != status || len(bodies) != requests {
			t.Errorf("%s: status %d after %d requests, want %d after %d", path, response.StatusCode, len(bodies), status, requests)
		}
		for _, b := range bodies {
			if b != "the body" {
				t.Errorf("%s: the body of a request is %q", path, b)
			}
		}
		if strings.Contains(body, "credential") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("%s: response = %s", path, body)
		}
	}
	call("/", true, 200, 1)
	good = "new-credential"
	call("/", true, 401, 1) // the file has not changed
	file(t, path, good)
	call("/", true, 200, 1)
	file(t, path, "old-credential")
	call("/switch", true, 200, 2)
	call("/", true, 200, 1)
	file(t, path, "old-credential")
	call("/switch", false, 401, 1)
	call("/", false, 200, 1)
	file(t, path, "wrong")
	call("/", true, 401, 1)
	got := seen.drain()
	if len(got) != 4 || got[0].Type != upstream.EventRejected || len(got[0].Attrs) != 1 || !got[0].Attrs[0].Equal(slog.String(upstream.AttrUpstream, "main")) {
		t.Errorf("events = %+v, want four %s of main", got, upstream.EventRejected)
	}
}

// The upstream repeats the credential, in the headers, the body and the trailer, also
// in parts: it is masked, and nothing is delayed.
func TestResponsesAreMasked(t *testing.T) {
	next := make(chan bool)
	status := http.StatusOK
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Trailer", "X-Last")
		header.Set("X-Echo", "key="+r.Header.Get("Authorization"))
		header.Set("X-Host", r.Host)
		header.Set("X-"+secret, "1")
		header.Set("Set-Cookie", "a=b")
		header.Set("WWW-Authenticate", "Bearer")
		header.Set("X-Request-Id", "7")
		w.WriteHeader(status)
		for _, part := range []string{"at " + r.Host + " ", "before " + secret[:10], secret[10:] + " after " + secret + "\n", "sk-the", "-end\n", secret[:5]} {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			if strings.HasSuffix(part, "\n") {
				<-next
			}
		}
		header.Set("X-Last", secret)
	})
	transport := newTransport(t, origin, nil)
	hidden := strings.Repeat("*", len(secret))
	host := strings.TrimPrefix(origin, "http://")
	for _, status = range []int{200, 400, 503} {
		response, err := transport.RoundTrip(request(t, "POST", origin, "{}"))
		noError(t, err)
		want := "at " + host + " before " + hidden + " after " + hidden + "\n"
		wantHost := host
		if status >= 300 {
			wantHost = strings.Repeat("*", len(host))
			want = strings.ReplaceAll(want, host, wantHost)
		}
		got := make([]byte, len(want))
		for i := range got { // byte by byte
			if _, err := response.Body.Read(got[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != want {
			t.Errorf("status %d: body = %q, want %q", status, got, want)
		}
		next <- true // a full line arrived although the response goes on
		line := make([]byte, len("sk-the-end\n"))
		_, err = io.ReadFull(response.Body, line)
		noError(t, err)
		next <- true
		rest, err := io.ReadAll(response.Body)
		noError(t, err)
		noError(t, response.Body.Close())
		if string(line)+string(rest) != "sk-the-end\n"+secret[:5] {
			t.Errorf("rest of the body = %q%q", line, rest)
		}
		wantHeader := http.Header{"X-Echo": {"key=Bearer " + hidden}, "X-Host": {wantHost}, "X-Request-Id": {"7"}}
		delete(response.Header, "Date")
		delete(response.Header, "Content-Type")
		if diff := cmp.Diff(wantHeader, response.Header); diff != "" {
			t.Errorf("status %d: headers (-want +got):\n%s", status, diff)
		}
		if diff := cmp.Diff(http.Header{"X-Last": {hidden}}, response.Trailer); diff != "" {
			t.Errorf("trailer (-want +got):\n%s", diff)
		}
	}
}

// A refusal that repeats the credential as JSON, or the host without its port, byte by
// byte.
func TestEscapedCredentialsAreMasked(t *testing.T) {
	for _, test := range []struct{ secret, text string }{
		{`a<b&c/d`, `a<b&c/d`}, {`a<b&c/d`, `a\u003cb\u0026c/d`}, {`a<b&c/d`, `a<b&c\/d`}, {`a<b&c/d`, "127.0.0.1"}, {`a"b`, `a\"b`},
	} {
		base := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 300, Body: io.NopCloser(&pieces{[]byte("<" + test.text + ">"), 1})}, nil
		})
		transport := newTransport(t, "http://127.0.0.1:1", func(c *upstream.Config) {
			c.Source, c.Base = secretSource(t, "file:"+file(t, "", test.secret)), base
		})
		if _, body := send(t, transport, request(t, "POST", "http://127.0.0.1:1", "")); body != "<"+strings.Repeat("*", len(test.text))+">" {
			t.Errorf("body = %s, want %s masked", body, test.text)
		}
	}
}

// No error says where the upstream is, or which credential it got.
func TestErrorsHoldNoAddress(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	withTLS := httptest.NewUnstartedServer(nil)
	withTLS.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	withTLS.StartTLS()
	t.Cleanup(withTLS.Close)
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	cut := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "part")
	})
	dead := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithTimeout(t.Context(), time.Nanosecond)
	defer stop()
	failing := func(err error) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	for name, test := range map[string]struct {
		origin, text string
		ctx          context.Context //nolint:containedctx // of one call
		is           error
		base         http.RoundTripper
	}{
		"refused":     {closed.URL, "connection refused", t.Context(), upstream.ErrUnavailable, nil},
		"certificate": {withTLS.URL, "the certificate of the server is not accepted", t.Context(), upstream.ErrUnavailable, nil},
		"no TLS":      {strings.Replace(plain, "http:", "https:", 1), "the server does not speak TLS", t.Context(), upstream.ErrUnavailable, nil},
		"record":      {plain, "the server does not speak TLS", t.Context(), upstream.ErrUnavailable, failing(tls.RecordHeaderError{Msg: plain})},
		"name":        {plain, "the host name has no address", t.Context(), upstream.ErrUnavailable, failing(&net.DNSError{Name: plain})},
		"network":     {plain, "network error", t.Context(), upstream.ErrUnavailable, failing(&net.OpError{Op: "dial", Err: errors.New(plain)})},
		"time limit":  {plain, "timeout", t.Context(), upstream.ErrUnavailable, failing(&net.DNSError{Name: plain, IsTimeout: true})},
		"other":       {plain, "failed", t.Context(), upstream.ErrUnavailable, failing(errors.New(secret))},
		"canceled":    {plain, "canceled", canceled, context.Canceled, nil},
		"timeout":     {plain, "timeout", late, context.DeadlineExceeded, nil},
		"dead":        {dead, "connection closed without a response", t.Context(), upstream.ErrUnavailable, nil},
		"cut":         {cut, "connection closed too early", t.Context(), io.ErrUnexpectedEOF, nil},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &events{}
			transport := newTransport(t, test.origin, func(c *upstream.Config) { c.Observer, c.Base = seen, test.base })
			r := request(t, "GET", test.origin, "").WithContext(test.ctx)
			response, err := transport.RoundTrip(r)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				if response.Body.Close() != nil {
					t.Error("Close: error")
				}
			}
			text := fmt.Sprintf("%v", err)
			if !errors.Is(err, test.is) || !errors.Is(err, upstream.ErrUnavailable) || strings.Contains(text, "127.0.0.1") || strings.Contains(text, secret) || !strings.Contains(text, test.text) {
				t.Errorf("error = %v, want %q and %v", err, test.text, test.is)
			}
			if errors.Unwrap(err) != nil {
				t.Errorf("the error wraps %v", errors.Unwrap(err))
			}
			if timeout, ok := err.(interface{ Timeout() bool }); !ok || timeout.Timeout() != (test.text == "timeout") {
				t.Errorf("Timeout() of %v", err)
			}
			all := seen.drain()
			if name == "refused" && len(all) != 1 || name == "canceled" && len(all) > 0 { // by the caller
				t.Errorf("%d events", len(all))
			}
			for _, e := range all {
				if text := fmt.Sprintf("%+v", e); strings.Contains(text, "127.0.0.1") || strings.Contains(text, secret) {
					t.Errorf("event = %s", text)
				}
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWithoutCredentialNothingIsSent(t *testing.T) {
	calls := 0
	origin := serve(t, func(http.ResponseWriter, *http.Request) { calls++ })
	path := file(t, "", secret)
	seen := &events{}
	transport := newTransport(t, origin, func(c *upstream.Config) { c.Source, c.Observer = secretSource(t, "file:"+path), seen })
	for _, text := range []string{"", "two words", "line\nbreak", "caf\u00e9", "\x00", strings.Repeat("x", 4097)} {
		file(t, path, text)
		_, err := transport.RoundTrip(request(t, "POST", origin, "{}"))
		if !errors.Is(err, upstream.ErrNoCredential) || strings.Contains(err.Error(), path) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("RoundTrip with the credential %.20q: error = %v", text, err)
		}
	}
	noError(t, os.Remove(path))
	if _, err := transport.RoundTrip(request(t, "POST", origin, "{}")); !errors.Is(err, upstream.ErrNoCredential) || calls > 0 {
		t.Errorf("RoundTrip without a file: error = %v, %d calls", err, calls)
	}
	if got := seen.types(); len(got) != 7 || slices.ContainsFunc(got, func(e gatehouse.EventType) bool { return e != upstream.EventUnavailable }) {
		t.Errorf("events = %q, want seven %s", got, upstream.EventUnavailable)
	}
}

// However a body is cut into reads, the result is that of the whole.
func FuzzMask(f *testing.F) {
	f.Add([]byte("a sk-sk-k b"), uint8(3), uint8(2))
	f.Add([]byte("sksk-k"), uint8(1), uint8(1))
	f.Add([]byte("a sk-k b"), uint8(0), uint8(3))
	const word = "sk-k"
	f.Fuzz(func(t *testing.T, data []byte, cut, size uint8) {
		base := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(&pieces{data, int(cut%7) + 1})}, nil
		})
		t.Setenv("UPSTREAM_TEST_KEY", word)
		transport := newTransport(t, "https://api.example.com", func(c *upstream.Config) {
			c.Source, c.Base = secretSource(t, "env:UPSTREAM_TEST_KEY"), base
		})
		response, err := transport.RoundTrip(request(t, "GET", "https://api.example.com", ""))
		noError(t, err)
		var got []byte
		for p := make([]byte, int(size%9)+1); ; {
			n, err := response.Body.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
		}
		if want := bytes.ReplaceAll(data, []byte(word), []byte("****")); !bytes.Equal(got, want) {
			t.Errorf("masked %q = %q, want %q", data, got, want)
		}
	})
}

// pieces returns at most n bytes for each read.
type pieces struct {
	data []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.data)
	p.data = p.data[n:]
	return n, nil
}

// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
)

func fixed(token string) func(context.Context) (gatehouse.Secret, error) {
	return func(context.Context) (gatehouse.Secret, error) { return gatehouse.NewSecret([]byte(token)), nil }
}

// resource starts a server that confirms the proofs of a key, and counts requests.
func resource(t *testing.T, key *dpop.Key, changes ...func(*dpop.Config)) (url string, requests *atomic.Int64, bodies *[]string) {
	t.Helper()
	requests, bodies = new(atomic.Int64), new([]string)
	var mu sync.Mutex
	server := httptest.NewUnstartedServer(nil)
	url = "http://" + server.Listener.Addr().String()
	v := newVerifier(append(changes, func(c *dpop.Config) { c.PublicOrigin = url })...)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		got, _ := gatehouse.Authorization(r, "DPoP")
		header, err := v.Confirm(r, got, key.Thumbprint(), time.Now())
		if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			header = e.Header
			w.Header().Set("WWW-Authenticate", `Bearer realm="x", DPoP error="`+e.Code.String()+`", algs="ES256"`)
		}
		if nonce := header.Get("DPoP-Nonce"); nonce != "" {
			w.Header().Set("DPoP-Nonce", nonce)
		}
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "refused")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		*bodies = append(*bodies, string(body))
	})
	server.Start()
	t.Cleanup(server.Close)
	return url, requests, bodies
}

func newTransport(t *testing.T, key *dpop.Key, base http.RoundTripper, origins ...string) *http.Client {
	t.Helper()
	transport := must(dpop.NewTransport(dpop.TransportConfig{Key: key, Token: fixed(token), Origins: origins, Base: base}))
	return &http.Client{Transport: transport}
}

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), "GET", url, http.NoBody))
	r.GetBody = nil // as httputil.ReverseProxy has it
	response := must(client.Do(r))
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

// Covers RFC 9449 §7.3, §8 (retry), §8.2 (new), §9 (client).
func TestTransportAgainstVerifier(t *testing.T) {
	key := must(dpop.GenerateKey())
	url, requests, bodies := resource(t, key, withNonces(nonceKey))
	url2, _, _ := resource(t, key, withNonces(otherKey))
	client := newTransport(t, key, nil, url, url2)
	if status := get(t, client, url+"/a?b=c"); status != 200 || requests.Load() != 2 {
		t.Errorf("first request: status %d after %d attempts, want 200 after 2", status, requests.Load())
	}
	if status := get(t, client, url2); status != 200 { // its nonces are others
		t.Errorf("second origin: status %d, want 200", status)
	}
	if status := get(t, client, url+"/a"); status != 200 || requests.Load() != 3 {
		t.Errorf("second request: status %d after %d attempts, want 200 after 1", status, requests.Load()-2)
	}

	// A body is sent again, if that is possible. Afterwards the client has a nonce.
	post := func(client *http.Client, body io.Reader, want int) {
		t.Helper()
		response := must(client.Post(url+"/form", "text/plain", body))
		_, err := io.Copy(io.Discard, response.Body)
		if _ = response.Body.Close(); response.StatusCode != want || err != nil {
			t.Errorf("POST = %d with a body that reads %v, want %d", response.StatusCode, err, want)
		}
	}
	post(newTransport(t, key, nil, url), strings.NewReader("body"), 200)
	if got := (*bodies)[2]; got != "body" {
		t.Errorf("the repeated request had the body %q, want %q", got, "body")
	}
	other := newTransport(t, key, nil, url)
	post(other, io.MultiReader(strings.NewReader("stream")), 401)
	post(other, io.MultiReader(strings.NewReader("stream")), 200)
}

// twice is a base that sends each request twice with the same proof, as net/http does
// after a connection broke.
type twice struct{ http.RoundTripper }

func (b twice) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r.Clone(r.Context()))
	if err != nil || r.Header.Get("X-Once") != "" {
		return response, err
	}
	_ = response.Body.Close()
	return b.RoundTripper.RoundTrip(r)
}

// once is a base that lets twice repeat only the first request.
type once struct {
	http.RoundTripper
	done atomic.Bool
}

func (b *once) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.done.Swap(true) {
		r.Header.Set("X-Once", "1")
	}
	return b.RoundTripper.RoundTrip(r)
}

func TestTransportMakesFreshProofAfterReplay(t *testing.T) {
	key := must(dpop.GenerateKey())
	url, requests, _ := resource(t, key)
	if status := get(t, newTransport(t, key, &once{RoundTripper: twice{http.DefaultTransport}}, url), url); status != 200 || requests.Load() != 3 {
		t.Errorf("status %d after %d requests, want 200 after 3", status, requests.Load())
	}
	if status := get(t, newTransport(t, key, twice{http.DefaultTransport}, url), url); status != 401 || requests.Load() != 7 {
		t.Errorf("each attempt sent twice: status %d after %d requests, want 401 after 4", status, requests.Load()-3)
	}
}

// answer is a response of a scripted server.
type answer struct {
	status      int
	challenge   string // several are separated by |
	body, nonce string
}

// scripted is a base that returns answers in turn, the last one for ever.
type scripted struct {
	answers []answer
	sent    []*http.Request
	bodies  []string
	closed  int
}

type counted struct {
	io.Reader
	closed *int
}

func (c counted) Close() error { *c.closed++; return nil }

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(body))
		_ = r.Body.Close()
	}
	a := s.answers[min(len(s.sent), len(s.answers)-1)]
	s.sent = append(s.sent, r)
	header := http.Header{}
	if a.challenge != "" {
		header["Www-Authenticate"] = strings.Split(a.challenge, "|")
	}
	if a.nonce != "" {
		header["Dpop-Nonce"] = strings.Split(a.nonce, "|")
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: counted{strings.NewReader(a.body), &s.closed}, Request: r}, nil
}

// The number of attempts is bounded, whatever the server answers, and the caller gets
// the last answer as it is.
func TestTransportAttempts(t *testing.T) {
	const asks, refuses = `DPoP error="use_dpop_nonce"`, `DPoP error="invalid_dpop_proof"`
	for _, test := range []struct {
		name     string
		answers  []answer
		attempts int
		status   int
	}{
		{"success", []answer{{status: 200}}, 1, 200},
		{"nonce asked for", []answer{{401, asks, "", "n1"}, {status: 200}}, 2, 200},
		{"nonce asked for among challenges", []answer{{401, `Bearer, DPoP algs="ES256", error=use_dpop_nonce`, "", "n1"}, {status: 200}}, 2, 200},
		{"nonce asked for in the second challenge", []answer{{401, "Bearer|" + asks, "", "n1"}, {status: 200}}, 2, 200},
		{"nonce asked for by an authorization server", []answer{{400, "", `{"error":"use_dpop_nonce"}`, "n1"}, {status: 200}}, 2, 200},
		{"nonce asked for in the body of a 401", []answer{{401, "", `{"error":"use_dpop_nonce"}`, "n1"}, {status: 200}}, 2, 200},
		{"nonce always asked for", []answer{{401, asks, "", "n1"}, {401, asks, "", "n2"}, {401, asks, "", "n3"}}, 2, 401},
		{"the same nonce again", []answer{{401, asks, "", "n1"}, {401, asks, "", "n1"}, {status: 200}}, 2, 401},
		{"nonce asked for, none sent", []answer{{401, asks, "", ""}, {status: 200}}, 1, 401},
		{"two nonces", []answer{{401, asks, "", "n1|n2"}, {status: 200}}, 1, 401},
		{"malformed nonce", []answer{{401, asks, "", `a"b`}, {status: 200}}, 1, 401},
		{"nonce with a space", []answer{{401, asks, "", "a b"}, {status: 200}}, 1, 401},
		{"longest nonce", []answer{{401, asks, "", strings.Repeat("n", 512)}, {status: 200}}, 2, 200},
		{"huge nonce", []answer{{401, asks, "", strings.Repeat("n", 513)}, {status: 200}}, 1, 401},
		{"large answer", []answer{{400, "", strings.Repeat("x", 65<<10), ""}}, 1, 400},
		{"proof refused once", []answer{{401, refuses, "", ""}, {status: 200}}, 2, 200},
		{"proof always refused", []answer{{401, refuses, "", ""}}, 2, 401},
		{"both", []answer{{401, refuses, "", "n1"}, {401, asks, "", "n2"}, {401, refuses, "", "n3"}, {status: 200}}, 3, 401},
		{"token rejected", []answer{{401, `DPoP error="invalid_token"`, `{"error":"invalid_token"}`, "n1"}, {status: 200}}, 1, 401},
		{"another error of an authorization server", []answer{{400, "", `{"error":"invalid_grant"}`, "n1"}, {status: 200}}, 1, 400},
		{"no JSON", []answer{{400, "", `use_dpop_nonce`, "n1"}, {status: 200}}, 1, 400},
		{"forbidden", []answer{{403, asks, `{"error":"use_dpop_nonce"}`, "n1"}, {status: 200}}, 1, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := &scripted{answers: test.answers}
			key := must(dpop.GenerateKey())
			client := newTransport(t, key, base, "https://a.example")
			response := must(client.Post("https://a.example/x", "text/plain", strings.NewReader("body")))
			if response.StatusCode != test.status || len(base.sent) != test.attempts {
				t.Errorf("status %d after %d attempts, want %d after %d", response.StatusCode, len(base.sent), test.status, test.attempts)
			}
			last := test.answers[min(test.attempts, len(test.answers))-1]
			if body, err := io.ReadAll(response.Body); string(body) != last.body || err != nil {
				t.Errorf("body = %q, %v, want %q", body, err, last.body)
			}
			_ = response.Body.Close()
			if base.closed != test.attempts || !slices.Equal(base.bodies, slices.Repeat([]string{"body"}, test.attempts)) {
				t.Errorf("%d bodies were closed, and %q were sent, want %d", base.closed, base.bodies, test.attempts)
			}
			var proofs []string
			for _, r := range base.sent {
				if r.Header.Get("Authorization") != "DPoP "+token || len(r.Header["Dpop"]) != 1 || slices.Contains(proofs, r.Header.Get("DPoP")) {
					t.Errorf("an attempt has the header %v, want the token and a new proof", r.Header)
				}
				proofs = append(proofs, r.Header.Get("DPoP"))
			}
		})
	}
}

// A server that asks for the nonce that it has got, or sends none, is not asked again, and
// a request without a proof is closed.
func TestTransportGivesUp(t *testing.T) {
	const asks = `DPoP error="use_dpop_nonce"`
	base := &scripted{answers: []answer{{401, asks, "", "n1"}, {200, "", "", "n2"}, {401, asks, "", "n2"}, {401, asks, "", ""}, {status: 200}}}
	client := newTransport(t, must(dpop.GenerateKey()), base, "https://a.example")
	for _, want := range []int{200, 401, 401} {
		if got := get(t, client, "https://a.example/x"); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	client = newTransport(t, must(dpop.GenerateKey()), &scripted{answers: []answer{{401, asks, "", "n1"}, {status: 200}}}, "https://a.example")
	response := must(client.Get("https://a.example/x")) // a request whose Body is nil
	if _ = response.Body.Close(); response.StatusCode != 200 {
		t.Errorf("status of a request without a body = %d, want 200 after the nonce", response.StatusCode)
	}
	closed := 0
	client = newTransport(t, must(dpop.NewKey(dpop.ES256, broken{Signer: newClient("ES256").private, err: errors.New("down")})), base, "https://a.example")
	if _, err := client.Post("https://a.example/x", "text/plain", counted{strings.NewReader("body"), &closed}); err == nil || closed == 0 {
		t.Errorf("Post without a proof: error = %v, closed %d times, want an error and a closed body", err, closed)
	}
}

// A redirect to another server gets neither the token nor a proof.
func TestTransportSendsToConfiguredOriginsOnly(t *testing.T) {
	var leaked atomic.Int64
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer attacker.Close()
	server := httptest.NewServer(http.RedirectHandler(attacker.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	client := newTransport(t, must(dpop.GenerateKey()), nil, server.URL)
	for _, url := range []string{server.URL, attacker.URL, strings.Replace(server.URL, "http:", "https:", 1), strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		response, err := client.Get(url)
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("Get(%s): no error", url)
		}
	}
	if n := leaked.Load(); n != 0 {
		t.Errorf("%d requests reached the other server", n)
	}
}

// Without Config.Token, the token is that of the request.
func TestTransportWithoutToken(t *testing.T) {
	key := must(dpop.GenerateKey())
	url, _, _ := resource(t, key)
	client := &http.Client{Transport: must(dpop.NewTransport(dpop.TransportConfig{Key: key, Origins: []string{url}}))}
	send := func(header http.Header) (int, error) {
		r := must(http.NewRequestWithContext(t.Context(), "GET", url, nil))
		r.Method, r.Header = "", header // "" is GET
		response, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	for name, test := range map[string]struct {
		header http.Header
		status int // 0 for an error
	}{
		"token":      {http.Header{"Authorization": {"DPoP " + token}}, 200},
		"lower case": {http.Header{"Authorization": {"dpop  " + token}}, 200},
		"none":       {http.Header{}, 401},
		"client":     {http.Header{"Authorization": {"Basic YTpi"}}, 401},
		"Bearer":     {http.Header{"Authorization": {"bearer " + token}}, 0},
		"two":        {http.Header{"Authorization": {"DPoP " + token, "DPoP " + token}}, 0},
		"own proof":  {http.Header{"Authorization": {"DPoP " + token}, "Dpop": {"x"}}, 0},
	} {
		if status, err := send(test.header); status != test.status || (err == nil) != (status != 0) {
			t.Errorf("%s: %d, %v, want %d", name, status, err, test.status)
		}
	}
}

func TestTransportTokenErrors(t *testing.T) {
	base := &scripted{answers: []answer{{status: 200}}}
	for name, source := range map[string]func(context.Context) (gatehouse.Secret, error){
		"error": func(context.Context) (gatehouse.Secret, error) { return gatehouse.Secret{}, errDown },
		"empty": fixed(""), "line break": fixed("a\r\nX: y"), "space": fixed("a b"),
	} {
		transport := must(dpop.NewTransport(dpop.TransportConfig{Key: must(dpop.GenerateKey()), Token: source, Origins: []string{"https://a.example"}, Base: base}))
		closed := 0
		r := must(http.NewRequestWithContext(t.Context(), "POST", "https://a.example", counted{strings.NewReader("x"), &closed}))
		response, err := transport.RoundTrip(r)
		if err == nil || closed != 1 || len(base.sent) != 0 || name == "error" && !errors.Is(err, errDown) {
			t.Errorf("%s: RoundTrip = %v, %v with %d bodies closed, want an error and one", name, response, err, closed)
		}
	}
	client := newTransport(t, must(dpop.GenerateKey()), base, "https://a.example")
	r := must(http.NewRequestWithContext(t.Context(), "GET", "https://a.example", nil))
	r.Header.Set("Authorization", "DPoP x")
	if _, err := client.Do(r); err == nil {
		t.Error("a request with its own token: no error")
	}
}

func TestNewTransportReportsEveryMistake(t *testing.T) {
	_, err := dpop.NewTransport(dpop.TransportConfig{Origins: []string{"http://a.example", "https://a.example/x"}, Base: (*http.Transport)(nil)})
	const want = `dpop: TransportConfig.Key: required
dpop: TransportConfig.Origins[0]: plain http is for loopback addresses only
dpop: TransportConfig.Origins[1]: not an origin: must be a scheme, a host and an optional port
dpop: TransportConfig.Base: is a nil *http.Transport`
	if err == nil || err.Error() != want {
		t.Errorf("NewTransport error\n%v, want\n%s", err, want)
	}
	if _, err := dpop.NewTransport(dpop.TransportConfig{Key: must(dpop.GenerateKey())}); err == nil {
		t.Error("NewTransport without origins: no error")
	}
}

// Many requests at once share the nonces, and each is repeated at most once.
func TestTransportConcurrently(t *testing.T) {
	key := must(dpop.GenerateKey())
	url, requests, _ := resource(t, key, withNonces(nonceKey))
	client := newTransport(t, key, nil, url)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if status := get(t, client, url); status != 200 {
				t.Errorf("status %d, want 200", status)
			}
		})
	}
	group.Wait()
	if n := requests.Load(); n < 17 || n > 32 {
		t.Errorf("%d attempts for 16 requests, want at most 2 each", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/pkce"
)

const clientID = "cli"

type object = map[string]any

var signing = sync.OnceValues(func() (*jwtauth.KeyRing, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.RS256, Private: key})
})

// server is an authorization server at which everybody is signed in already and
// consents. It checks what a public client has to send.
type server struct {
	*httptest.Server
	t    *testing.T
	keys *jwtauth.KeyRing

	routes   map[string]http.HandlerFunc // in place of the server's own
	metadata object
	userinfo object

	mu      sync.Mutex
	codes   map[string]url.Values // code -> authorization request
	redeems int
	ids     []string // the ID tokens
	revoked []string
}

// The tokens, by which their leaks are found.
const (
	access  = "access-token-7d1c"
	refresh = "refresh-token-9b2e"
)

func newServer(t *testing.T) *server {
	t.Helper()
	keys, err := signing()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		t: t, keys: keys, routes: make(map[string]http.HandlerFunc), codes: make(map[string]url.Values),
		userinfo: object{"sub": "u1", "name": "Ada Lovelace", "email": "ada@example.com"},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.metadata = object{
		"issuer": s.URL, "authorization_endpoint": s.URL + "/auth", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/jwks",
		"userinfo_endpoint": s.URL + "/userinfo", "revocation_endpoint": s.URL + "/revoke",
		"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"},
	}
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if route := s.routes[r.URL.Path]; route != nil {
		route(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer(w, http.StatusOK, s.metadata)
	case "/auth":
		w.Header().Set("Location", s.authorize(r.URL.Query()))
		w.WriteHeader(http.StatusFound)
	case "/jwks":
		s.keys.ServeHTTP(w, r)
	case "/token":
		s.token(w, r)
	case "/userinfo":
		if r.Header.Get("Authorization") != "Bearer "+access || r.URL.RawQuery != "" {
			s.t.Errorf("userinfo is asked for with %v %s", r.Header, r.URL)
		}
		answer(w, http.StatusOK, s.userinfo)
	case "/revoke":
		s.mu.Lock()
		s.revoked = append(s.revoked, r.PostFormValue("token"))
		s.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// authorize returns where the browser is sent back to.
func (s *server) authorize(q url.Values) string {
	if q.Get("response_type") != "code" || q.Get("client_id") != clientID || q.Has("client_secret") || len(q.Get("state")) < 43 {
		s.t.Errorf("authorization request %v", q)
	}
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = q
	s.mu.Unlock()
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {s.URL}}.Encode()
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.redeems++
	asked := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	s.mu.Unlock()
	if r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") || r.PostForm.Get("client_id") != clientID {
		s.t.Errorf("token request %v %v", r.Header, r.PostForm)
	}
	verifier := gatehouse.NewSecret([]byte(r.PostFormValue("code_verifier")))
	if asked == nil || asked.Get("code_challenge_method") != pkce.Method || pkce.Verify(asked.Get("code_challenge"), verifier) != nil || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		answer(w, http.StatusBadRequest, object{"error": "invalid_grant"})
		return
	}
	now := time.Now().Unix()
	id, err := s.keys.SignJWT("JWT", object{
		"iss": s.URL, "aud": clientID, "sub": "u1", "nonce": asked.Get("nonce"), "iat": now, "exp": now + 300,
	})
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.ids = append(s.ids, string(id.Reveal()))
	s.mu.Unlock()
	answer(w, http.StatusOK, object{
		"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 300,
		"id_token": string(id.Reveal()), "scope": asked.Get("scope"),
	})
}

// secrets are the tokens that the server has given.
func (s *server) secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{access, refresh}, s.ids...)
}

// program is the program under way.
type program struct {
	t       *testing.T
	server  *server
	address string // of the login
	back    *url.URL
	output  *terminal
	cancel  context.CancelFunc
	ended   chan error
}

// start runs the program until it shows the address of the login.
func (s *server) start(flags ...string) *program {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	p := &program{t: s.t, server: s, output: &terminal{address: make(chan string, 1)}, cancel: cancel, ended: make(chan error, 1)}
	flags = append([]string{"-issuer", s.URL, "-client-id", clientID, "-scope", "openid email", "-no-browser"}, flags...)
	go func() { p.ended <- run(ctx, flags, p.output, p.output) }()
	s.t.Cleanup(cancel)
	select {
	case p.address = <-p.output.address:
	case err := <-p.ended:
		s.t.Fatalf("%v\n%s", err, p.output)
	}
	u, err := url.Parse(p.address)
	if err != nil {
		s.t.Fatal(err)
	}
	if p.back, err = url.Parse(u.Query().Get("redirect_uri")); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// state is that of the login.
func (p *program) state() string {
	u, _ := url.Parse(p.address)
	return u.Query().Get("state")
}

// callback is an address at the program.
func (p *program) callback(params url.Values) string {
	back := *p.back
	back.RawQuery = params.Encode()
	return back.String()
}

// seen is a page as the browser sees it.
type seen struct {
	status int
	header http.Header
	body   string
}

// browse does what a browser does, redirects included.
func (p *program) browse(method, address string, change ...func(*http.Request)) seen {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return seen{response.StatusCode, response.Header, string(body)}
}

// end waits until the program has ended. Its port is closed then, and it has
// told nobody a token.
func (p *program) end() error {
	p.t.Helper()
	err := <-p.ended
	if connection, err := net.Dial("tcp", p.back.Host); err == nil {
		connection.Close()
		p.t.Error("the port is still open")
	}
	text := p.output.String()
	if err != nil {
		text += err.Error()
	}
	for _, token := range p.server.secrets() {
		if strings.Contains(text, token) {
			p.t.Errorf("a token is printed: %s", text)
		}
	}
	return err
}

var shown = regexp.MustCompile(`(?m)^  (http\S+)$`)

// terminal keeps what a program prints, and finds the address in it.
type terminal struct {
	address chan string

	mu    sync.Mutex
	text  bytes.Buffer
	found bool
}

func (o *terminal) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	if match := shown.FindSubmatch(o.text.Bytes()); match != nil && !o.found {
		o.found = true
		o.address <- string(match[1])
	}
	return len(b), nil
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// other is a key that the server does not publish.
func other(t *testing.T) *jwtauth.KeyRing {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: key})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

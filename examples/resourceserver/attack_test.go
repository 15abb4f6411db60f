// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// TestAttack throws the catalogue of hostile requests at a running server, with
// API keys beside the tokens.
func TestAttack(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{
		Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}, Scope: "reports:read", Target: "/reports",
	})
	if err := issuer.PublishOddKeys(); err != nil {
		t.Fatal(err)
	}
	p := start(t, configure([]object{trust(issuer, nil)}, object{"api_keys": object{"driver": "memory"}}))
	good := func() {
		t.Helper()
		if a := p.with(issuer.Token(nil), "GET", "/reports"); a.status != http.StatusOK {
			t.Errorf("a good token: %v", a)
		}
	}
	good()
	thrown := 0
	for attempt := range authtest.Attacks(issuer) {
		wire := &wire{server: p}
		findings := attempt.Try(wire)
		if !wire.carried {
			continue
		}
		thrown++
		for _, f := range findings {
			t.Errorf("%s", f)
		}
	}
	good()
	if names := issuer.AttackerURLFetches(); len(names) > 0 {
		t.Errorf("an address in a token was asked for: %q", names)
	}
	if thrown < 500 {
		t.Errorf("only %d attempts came to the server", thrown)
	}
}

// wire is a server as a handler that hands requests on to it.
type wire struct {
	server  *process
	carried bool // the request came to the server's gate as it is
}

func (c *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, values := range r.Header {
		for _, value := range values {
			if strings.TrimSpace(value) != value {
				return // it is not part of the value, RFC 9110 §5.5
			}
		}
	}
	next, err := http.NewRequestWithContext(r.Context(), r.Method, c.server.URL+r.URL.RequestURI(), r.Body)
	if err != nil {
		return
	}
	next.Header = r.Header
	response, err := client.Do(next)
	if err != nil {
		return // a line break in a header, say
	}
	defer response.Body.Close()
	// What is larger than all that the server reads is refused before the gate.
	c.carried = response.StatusCode != http.StatusRequestHeaderFieldsTooLarge
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

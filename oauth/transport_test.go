// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// TestTransport: the token is sent to the configured origins only.
//
// Covers RFC 6749 §10.3; RFC 9700 §4.3.2, §4.9.1; ASVS 5.0 §14.2.1.
func TestTransport(t *testing.T) {
	s := providertest.New(t)
	source := must(s.Client().ClientCredentials(oauth.CredentialsRequest{}))
	var sent []string
	status, location := http.StatusOK, ""
	transport, err := oauth.NewTransport(oauth.TransportConfig{
		Source: source, Origins: []string{"https://api.example.com", "http://127.0.0.1:8080"},
		Base: roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL.String()+" "+r.Header.Get("Authorization"))
			if status == 0 {
				return nil, errors.New("no response")
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: r}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	for _, address := range []string{"https://api.example.com/a", "https://API.example.com:443/b", "http://127.0.0.1:8080/c"} {
		sent = nil
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody))
		if _, err := client.Do(r); err != nil || len(sent) != 1 || !strings.HasSuffix(sent[0], " Bearer access-1") {
			t.Errorf("%s: %v, %q", address, err, sent)
		}
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s: RoundTrip changed the request", address)
		}
	}
	sent = nil
	for _, address := range []string{
		"https://evil.example/", "http://api.example.com/", "https://api.example.com:8443/", "https://api.example.com.evil.example/",
		"https://x.api.example.com/", "http://127.0.0.1/", "https://api.example.com@evil.example/",
	} {
		if _, err := client.Get(address); err == nil || len(sent) != 0 {
			t.Errorf("%s: %v, %q", address, err, sent)
		}
	}
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", http.NoBody))
	r.Header.Set("Authorization", "Basic x")
	if _, err := client.Do(r); err == nil || len(sent) != 0 {
		t.Errorf("request with an Authorization header: error = %v, requests %q, want an error", err, sent)
	}
	status, location = http.StatusFound, "https://evil.example/"
	if _, err := client.Get("https://api.example.com/"); err == nil || len(sent) != 1 {
		t.Errorf("redirect to another origin: error = %v, requests %q, want an error after 1", err, sent)
	}
	// A rejected token is not used again, and one without a permission is.
	asked := s.Count("/token")
	for _, status = range []int{http.StatusForbidden, http.StatusForbidden, http.StatusUnauthorized, http.StatusUnauthorized} {
		if _, err := client.Get("https://api.example.com/"); err != nil {
			t.Error(err)
		}
	}
	if got := s.Count("/token") - asked; got != 1 {
		t.Errorf("%d token requests, want 1", got)
	}
	// The token request has the context of the request.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := &closer{Reader: strings.NewReader("x")}
	r = must(http.NewRequestWithContext(ctx, http.MethodPost, "https://api.example.com/", body))
	if _, err := transport.RoundTrip(r); !errors.Is(err, context.Canceled) || !body.closed {
		t.Errorf("RoundTrip(canceled) error = %v, body closed: %t, want %v and true", err, body.closed, context.Canceled)
	}
	status = 0
	if _, err := client.Get("https://api.example.com/"); err == nil || !strings.Contains(err.Error(), "no response") {
		t.Errorf("error without a response = %v, want that of the Base", err)
	}
}

type closer struct {
	*strings.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

// Covers RFC 6749 §10.3.
func TestNewTransportReportsEveryError(t *testing.T) {
	_, err := oauth.NewTransport(oauth.TransportConfig{Origins: []string{"https://x/", "http://x", "https://x?y", "x"}})
	for _, want := range []string{"Source: required", "Origins[0]: not an origin", "Origins[1]: plain http", "Origins[2]: not", "Origins[3]: not"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewTransport error = %v, want %q", err, want)
		}
	}
	source := must(providertest.New(t).Client().ClientCredentials(oauth.CredentialsRequest{}))
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	transport, err := oauth.NewTransport(oauth.TransportConfig{Source: source, Origins: []string{server.URL}})
	if err != nil {
		t.Fatalf("NewTransport without a Base: error = %v", err)
	}
	if response, err := (&http.Client{Transport: transport}).Get(server.URL); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("Get without a Base = %v, %v, want 404", response, err)
	}
	if _, err := oauth.NewTransport(oauth.TransportConfig{Source: source, Origins: []string{"https://x"}, Base: (*http.Transport)(nil)}); err == nil || !strings.Contains(err.Error(), "Base: is a nil *http.Transport") {
		t.Errorf("NewTransport with a nil Base: error = %v", err)
	}
	if _, err := oauth.NewTransport(oauth.TransportConfig{}); err == nil || !strings.Contains(err.Error(), "at least one") {
		t.Errorf("%v", err)
	}
}

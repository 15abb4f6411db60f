// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The public attack kit against each algorithm, with remote keys.
func TestAttacks(t *testing.T) {
	algorithms := []string{"ES256", "RS256", "PS256", "EdDSA"}
	if testing.Short() {
		algorithms = algorithms[:1]
	}
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{algorithm}})
			if err := issuer.PublishOddKeys(); err != nil {
				t.Fatal(err)
			}
			a := newAuthenticator(t, jwtauth.Config{Issuers: []jwtauth.Issuer{{
				URL: issuer.URL, Audience: issuer.Audience, Algorithms: []jwtauth.Algorithm{jwtauth.Algorithm(algorithm)},
				Keys: jwtauth.RemoteKeys(issuer.KeysURL),
			}}})
			authtest.Attack(t, serve(t, a), issuer)
		})
	}
}

// Real key-set servers that fail in the ways that servers do.
func TestFaultyKeyServers(t *testing.T) {
	for name, fault := range map[string]authtest.Fault{
		"down": authtest.Down, "cut": authtest.Cut, "truncated": authtest.Truncated, "HTML": authtest.HTML, "huge": authtest.Huge,
		"many keys": authtest.ManyKeys, "500": authtest.Status(500), "404": authtest.Status(404), "null": authtest.Document("null"),
	} {
		t.Run(name, func(t *testing.T) {
			issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
			issuer.Break(fault)
			a := newAuthenticator(t, jwtauth.Config{Issuers: []jwtauth.Issuer{{
				URL: issuer.URL, Audience: issuer.Audience, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
			}}})
			if got := status(serve(t, a), get(issuer.Token(nil))); got != http.StatusServiceUnavailable {
				t.Errorf("got %d", got)
			}
		})
	}
}

// The answers that RFC 6750 asks for, through a gate.
func TestAnswers(t *testing.T) {
	h := serve(t, newAuthenticator(t, config()))
	good := token(nil, nil)
	for _, test := range []struct {
		authorization []string
		want          int
	}{
		{nil, 401},
		{[]string{"Bearer " + good}, 200},
		{[]string{"bearer " + good}, 200},
		{[]string{"BEARER   " + good}, 200},
		{[]string{"Bearer a"}, 401},
		{[]string{"Bearer a.b.c"}, 401},
		{[]string{"Bearer .."}, 401},
		{[]string{"Bearer a.b.c.d.e"}, 401},
		{[]string{"Bearer " + strings.Repeat(".", 100_000)}, 401},
		{[]string{"Bearer " + strings.Repeat("a", 1_000_000)}, 401},
		{[]string{"Bearer"}, 400},
		{[]string{"Bearer "}, 400},
		{[]string{"Bearer " + good + " " + good}, 400},
		{[]string{"Bearer " + good + ", Bearer " + good}, 400},
		{[]string{"Bearer\t" + good}, 400},
		{[]string{"Bearer " + good + "\x00"}, 400},
		{[]string{"Bearer " + good + "\r\n"}, 400},
		{[]string{"Bearer é"}, 400},
		{[]string{"Bearer " + good, "Bearer " + good}, 400},
		{[]string{"Basic " + good}, 401},
		{[]string{good}, 401},
		{[]string{"DPoP " + good}, 401},
		{[]string{""}, 400},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		if test.authorization != nil {
			r.Header["Authorization"] = test.authorization
		}
		if got := status(h, r); got != test.want {
			t.Errorf("%.60q: got %d, want %d", test.authorization, got, test.want)
		}
	}
}

// What does not have the shape of a JWT is left to other authenticators, unless
// it is too long to be anybody's.
func TestAuthenticate(t *testing.T) {
	a := newAuthenticator(t, config())
	for _, foreign := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/", http.NoBody), get("a"), get("a.b"), get("a.b.c.d"), get("acme_live_0123"), get(strings.Repeat("a", 8<<10)),
	} {
		if _, err := a.Authenticate(foreign); !errors.Is(err, gatehouse.ErrNoCredentials) {
			t.Errorf("%.40s: got %v", foreign.Header, err)
		}
	}
	two := get("a.b.c")
	two.Header.Add("Authorization", "Bearer d.e.f")
	for want, r := range map[gatehouse.Reason]*http.Request{
		jwtauth.ReasonOversized:            get(strings.Repeat("a", 8<<10+1)),
		jwtauth.ReasonMalformed:            get(".."),
		gatehouse.ReasonSeveralCredentials: two,
	} {
		_, err := a.Authenticate(r)
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	proof, err := a.Authenticate(get(token(nil, nil)))
	if err != nil || proof.Principal().Subject != "alice" || proof.Header != nil {
		t.Errorf("got %+v, %v", proof, err)
	}
	if got, want := a.Reads(), (gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("Reads() = %+v, want %+v", got, want)
	}
}

// A header that is too long is refused before it is decoded.
func TestLongHeader(t *testing.T) {
	a := newAuthenticator(t, config())
	if got := reason(t, a, strings.Repeat("*", 2<<10+1)+".e30.AA"); got != jwtauth.ReasonOversized {
		t.Errorf("got %q", got)
	}
	if got := reason(t, a, strings.Repeat("*", 2<<10)+".e30.AA"); got != jwtauth.ReasonMalformed {
		t.Errorf("got %q", got)
	}
}

// No piece of a token is in a response or in a log line, whatever is wrong
// with it; but the log says which issuer, and why.
func TestNothingLeaks(t *testing.T) {
	var log bytes.Buffer
	g, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{newAuthenticator(t, config())}, Realm: "test",
		Observer: gatehouse.Log(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, credential := range map[string]string{
		"good":         token(nil, nil),
		"expired":      token(nil, object{"exp": 1, "iat": 0}),
		"malformed":    token(object{"alg": []any{"x"}}, nil),
		"bad claim":    token(nil, object{"sub": "a\nb"}),
		"bad scope":    token(nil, object{"scope": "a  b"}),
		"unknown":      token(nil, object{"iss": "https://somebody.example.com"}),
		"signature":    unsigned(token(nil, nil)) + strings.Repeat("A", 86),
		"not base64":   "eyJhbGciOiJFUzI1NiJ9.eyJpc3Mi*iJ9.c2lnbmF0dXJl",
		"unclaimed":    "sk-live-0123456789abcdefghijklmnopqrstuvwxyz",
		"key mismatch": token(object{"kid": "a-kid-that-is-not-ours"}, nil),
	} {
		log.Reset()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, get(credential))
		var all strings.Builder
		_ = w.Result().Header.Write(&all)
		fmt.Fprint(&all, w.Body, log.String())
		for n := 0; n+8 <= len(credential); n++ {
			if piece := credential[n : n+8]; strings.Contains(all.String(), piece) {
				t.Errorf("%s: %q is in\n%s", name, piece, &all)
				break
			}
		}
		if name != "good" && !strings.Contains(log.String(), "reason=") {
			t.Errorf("%s: no reason in %s", name, &log)
		}
		if strings.Contains(w.Body.String(), "expired\"") || w.Code != 200 && !strings.Contains(w.Body.String(), "invalid") {
			t.Errorf("%s: the body tells too much: %s", name, w.Body)
		}
		if strings.Contains(all.String(), "somebody.example.com") {
			t.Errorf("%s: an issuer that is not ours is named", name)
		}
	}
	log.Reset()
	h.ServeHTTP(httptest.NewRecorder(), get(token(nil, object{"aud": "x"})))
	if text := log.String(); !strings.Contains(text, issuerURL) || !strings.Contains(text, "jwtauth_audience") || !strings.Contains(text, "token-1") {
		t.Errorf("an operator cannot act on %s", text)
	}
}

// One public text for every bad token.
func TestOneAnswerForAll(t *testing.T) {
	h := serve(t, newAuthenticator(t, config()))
	var first string
	for _, bad := range []string{
		token(nil, object{"exp": 1, "iat": 0}), token(nil, object{"aud": "x"}), token(object{"kid": "k9"}, nil), "a.b.c", "a",
		unsigned(token(nil, nil)) + strings.Repeat("A", 86),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, get(bad))
		answer := fmt.Sprint(w.Code, w.Header(), w.Body)
		if first == "" {
			first = answer
		}
		if answer != first {
			t.Errorf("got\n%s\nafter\n%s", answer, first)
		}
	}
}

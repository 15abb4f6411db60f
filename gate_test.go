// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestNewReportsEveryMistake(t *testing.T) {
	for _, test := range []struct {
		name   string
		config gatehouse.Config
		want   string
	}{
		{
			"nothing",
			gatehouse.Config{},
			"gatehouse: Config.Authenticators: at least one is required\n" +
				"gatehouse: Config.Realm: required",
		},
		{
			"everything wrong",
			gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{nil, bearer{}, nil},
				Realm:          "caf\u00e9",
				Metadata:       &gatehouse.Metadata{},
			},
			"gatehouse: Config.Realm: has characters outside printable ASCII\n" +
				"gatehouse: Config.Metadata: not made by NewMetadata\n" +
				"gatehouse: Config.Authenticators[0]: is nil\n" +
				"gatehouse: Config.Authenticators[2]: is nil",
		},
		{
			"nil in other ways",
			gatehouse.Config{
				Authenticators: []gatehouse.Authenticator{(*absent)(nil), gatehouse.AuthenticatorFunc(nil)},
				Realm:          "x",
			},
			"gatehouse: Config.Authenticators[0]: is nil\n" +
				"gatehouse: Config.Authenticators[1]: is nil",
		},
		{
			"realm of two lines",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{bearer{}}, Realm: "a\r\nSet-Cookie: b"},
			"gatehouse: Config.Realm: has characters outside printable ASCII",
		},
		{
			"realm with DEL",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{bearer{}}, Realm: "a\x7f"},
			"gatehouse: Config.Realm: has characters outside printable ASCII",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, err := gatehouse.New(test.config)
			if gate != nil || err == nil || err.Error() != test.want {
				t.Errorf("gate %v, error\n%v, want\n%s", gate, err, test.want)
			}
		})
	}
}

// absent is an authenticator whose constructor has failed.
type absent struct{ gatehouse.Authenticator }

// What happens to the configuration later is of no effect.
func TestConfigIsCloned(t *testing.T) {
	authenticators := []gatehouse.Authenticator{bearer{}}
	gate := newGate(t, gatehouse.Config{Authenticators: authenticators})
	authenticators[0] = admit(person())
	send(gate, request("Authorization", "Bearer x")).check(t, 401, gatehouse.CodeInvalidToken)
}

func TestHandlerNil(t *testing.T) {
	gate := gateOf(t, bearer{})
	mustPanic(t, "gatehouse: Gate.Handler: nil handler", func() { gate.Handler(nil) })
}

// Three outcomes: who it is, nobody, and refused or not to be told. What one
// authenticator has claimed no other is asked about.
func TestAuthenticatorOutcomes(t *testing.T) {
	bad := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenExpired}
	none := refuse(gatehouse.ErrNoCredentials)
	wrapped := refuse(fmt.Errorf("session: %w", gatehouse.ErrNoCredentials))
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		status         int
		code           gatehouse.Code
	}{
		{"who", []gatehouse.Authenticator{admit(person())}, 200, ""},
		{"who, after others had nothing", []gatehouse.Authenticator{none, wrapped, admit(person())}, 200, ""},
		{"nobody", []gatehouse.Authenticator{none, wrapped}, 401, gatehouse.CodeMissingCredentials},
		{"refused before who", []gatehouse.Authenticator{refuse(bad), admit(person())}, 401, gatehouse.CodeInvalidToken},
		{"who before refused", []gatehouse.Authenticator{admit(person()), refuse(bad)}, 200, ""},
		{"broken before who", []gatehouse.Authenticator{refuse(io.ErrUnexpectedEOF), admit(person())}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"a nil *Error before who", []gatehouse.Authenticator{refuse((*gatehouse.Error)(nil)), admit(person())}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"an error around a nil *Error", []gatehouse.Authenticator{refuse(fmt.Errorf("x: %w", (*gatehouse.Error)(nil)))}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"nothing at all", []gatehouse.Authenticator{refuse(nil), admit(person())}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"a principal who is nobody", []gatehouse.Authenticator{admit(&gatehouse.Principal{Subject: "ada"})}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"a proof from nowhere", []gatehouse.Authenticator{proof(gatehouse.Proof{Principal: person()})}, 503, gatehouse.CodeTemporarilyUnavailable},
		{"a source without a principal", []gatehouse.Authenticator{proof(gatehouse.Proof{Source: gatehouse.SourceHeader})}, 503, gatehouse.CodeTemporarilyUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := gateOf(t, test.authenticators...)
			send(gate, request()).check(t, test.status, "")
			if a := send(gate, request()); test.status != 200 {
				a.check(t, test.status, test.code)
			}

			p, err := gate.Authenticate(request())
			e, ok := errors.AsType[*gatehouse.Error](err)
			if test.status == 200 {
				if err != nil || p.Principal == nil {
					t.Errorf("Authenticate: %v, %v", p, err)
				}
			} else if !ok || e.Status() != test.status || !reflect.DeepEqual(p, gatehouse.Proof{}) {
				t.Errorf("Authenticate: %v, %v", p, err)
			}
		})
	}
}

func proof(p gatehouse.Proof) gatehouse.Authenticator {
	return gatehouse.AuthenticatorFunc(func(*http.Request) (gatehouse.Proof, error) { return p, nil })
}

// A defect in an authenticator is told to the operator, by the type that has it.
func TestEmptyProofIsToldToTheObserver(t *testing.T) {
	var told events
	gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{refuse(nil)}, Observer: &told})
	send(gate, request()).check(t, 503, gatehouse.CodeTemporarilyUnavailable)
	event := told.only(t)
	if event.Reason != gatehouse.ReasonAuthenticatorFailed || event.Decision != gatehouse.Unavailable {
		t.Errorf("event %+v", event)
	}
	const want = "gatehouse: gatehouse.AuthenticatorFunc returned neither a proof nor an error"
	if event.Cause == nil || event.Cause.Error() != want {
		t.Errorf("cause %v, want %s", event.Cause, want)
	}
}

// An explicit credential says who is calling; an ambient one beside it nothing.
func TestExplicitAndAmbient(t *testing.T) {
	tokens := map[string]*gatehouse.Principal{"good": person()}
	everything := []gatehouse.Authenticator{connection, sloppyCookie{"sid", "s1"}, xAPIKey{"k1"}, bearer{tokens: tokens}}
	ambientOnly := []gatehouse.Authenticator{connection, sloppyCookie{"sid", "s1"}}
	for _, test := range []struct {
		name           string
		authenticators []gatehouse.Authenticator
		headers        []string
		tls            bool
		status         int
		caller         string
	}{
		{"connection", everything, nil, true, 200, "connection"},
		{"cookie", everything, []string{"Cookie", "sid=s1"}, false, 200, "sid"},
		{"connection before cookie", everything, []string{"Cookie", "sid=s1"}, true, 200, "connection"},
		{"cookie before connection", []gatehouse.Authenticator{sloppyCookie{"sid", "s1"}, connection}, []string{"Cookie", "sid=s1"}, true, 200, "sid"},
		{"first of two cookies", []gatehouse.Authenticator{sloppyCookie{"b", "1"}, sloppyCookie{"a", "1"}}, []string{"Cookie", "a=1; b=1"}, false, 200, "b"},
		{"token beside all ambient", everything, []string{"Cookie", "sid=s1", "Authorization", "Bearer good"}, true, 200, "ada"},
		{"key beside all ambient", everything, []string{"Cookie", "sid=s1", "X-API-Key", "k1"}, true, 200, "ci"},
		{"bad token beside all ambient", everything, []string{"Cookie", "sid=s1", "Authorization", "Bearer bad"}, true, 401, ""},
		{"bad key beside all ambient", everything, []string{"Cookie", "sid=s1", "X-API-Key", "k2"}, true, 403, ""},
		{"empty token beside all ambient", everything, []string{"Cookie", "sid=s1", "Authorization", ""}, true, 400, ""},
		{"malformed token beside all ambient", everything, []string{"Cookie", "sid=s1", "Authorization", "Bearer"}, true, 400, ""},
		{"another scheme beside all ambient", everything, []string{"Cookie", "sid=s1", "Authorization", "Basic YTpi"}, true, 401, ""},
		{"empty key beside all ambient", everything, []string{"Cookie", "sid=s1", "X-API-Key", ""}, true, 401, ""},
		{"token that nobody reads beside all ambient", ambientOnly, []string{"Cookie", "sid=s1", "Authorization", "Bearer good"}, true, 401, ""},
		{"key that nobody reads beside all ambient", ambientOnly, []string{"Cookie", "sid=s1", "X-API-Key", "k1"}, true, 403, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(test.headers...)
			if test.tls {
				overTLS(r)
			}
			a := send(gateOf(t, test.authenticators...), r)
			a.check(t, test.status, "")
			if a.caller() != test.caller {
				t.Errorf("caller %q, want %q", a.caller(), test.caller)
			}
		})
	}
}

// A key that nobody claims is a bad one; an empty header is no key.
func TestUnclaimedKey(t *testing.T) {
	for _, test := range []struct {
		key    string
		status int
		code   gatehouse.Code
		reason gatehouse.Reason
	}{
		{"of_another_prefix", 403, gatehouse.CodeInvalidAPIKey, gatehouse.ReasonUnclaimed},
		{"", 401, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials},
	} {
		var told events
		gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{bearer{}}, Observer: &told})
		send(gate, request("X-API-Key", test.key)).check(t, test.status, test.code)
		if reason := told.only(t).Reason; reason != test.reason {
			t.Errorf("%q: reason %q, want %q", test.key, reason, test.reason)
		}
	}
}

// inspector is an authenticator that refuses requests for one path.
type inspector struct {
	gatehouse.Authenticator
	path string
	err  error
}

func (i inspector) Inspect(r *http.Request) error {
	if r.URL.Path == i.path {
		return i.err
	}
	return nil
}

// An inspector is asked first, wherever it stands, whoever is calling.
func TestInspector(t *testing.T) {
	tokens := bearer{tokens: map[string]*gatehouse.Principal{"good": person()}}
	leak := &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonCredentialInURL}
	for _, test := range []struct {
		path   string
		err    error
		status int
		code   gatehouse.Code
	}{
		{"/elsewhere", leak, 200, ""},
		{request().URL.Path, leak, 400, gatehouse.CodeInvalidRequest},
		{request().URL.Path, errors.New("broken"), 503, gatehouse.CodeTemporarilyUnavailable},
	} {
		last := inspector{refuse(gatehouse.ErrNoCredentials), test.path, test.err}
		send(gateOf(t, tokens, last), request("Authorization", "Bearer good")).check(t, test.status, test.code)
	}
}

// A path with a credential in it is not reported, whatever else is wrong with
// the request.
func TestCredentialInPath(t *testing.T) {
	leak := &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonCredentialInURL, Credential: "key-1"}
	for _, r := range []*http.Request{
		request(),
		request("Authorization", "Bearer good"),
		request("Authorization", "Bearer good", "X-Api-Key", "good"),
		request("Authorization", "Bearer"),
	} {
		var told events
		gate := newGate(t, gatehouse.Config{
			Authenticators: []gatehouse.Authenticator{inspector{refuse(gatehouse.ErrNoCredentials), r.URL.Path, leak}},
			Observer:       &told,
		})
		send(gate, r).check(t, 400, gatehouse.CodeInvalidRequest)
		if event := told.only(t); event.Path != "" || event.Credential != "key-1" || event.Reason != gatehouse.ReasonCredentialInURL {
			t.Errorf("told %+v", event)
		}
	}
}

// A credential that nobody claims is a bad one, not an absent one.
func TestUnclaimed(t *testing.T) {
	noneIsMine := bearer{mine: func(string) bool { return false }}
	for _, test := range []struct {
		authorization string
		status        int
		code          gatehouse.Code
		reason        gatehouse.Reason
		challenge     string
	}{
		{"Bearer abc", 401, gatehouse.CodeInvalidToken, gatehouse.ReasonUnclaimed, "Bearer"},
		{"bEARER abc", 401, gatehouse.CodeInvalidToken, gatehouse.ReasonUnclaimed, "Bearer"},
		{"DPoP abc", 401, gatehouse.CodeInvalidToken, gatehouse.ReasonUnclaimed, "DPoP"},
		{"ApiKey abc", 401, gatehouse.CodeInvalidAPIKey, gatehouse.ReasonUnclaimed, "ApiKey"},
		{"Basic YTpi", 401, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, "Bearer"},
		{"Digest username=\"a\", realm=\"b\"", 401, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, "Bearer"},
		{"Bearerish abc", 401, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, "Bearer"},
		{"a.b.c", 401, gatehouse.CodeMissingCredentials, gatehouse.ReasonNoCredentials, "Bearer"},
	} {
		t.Run(test.authorization, func(t *testing.T) {
			var told events
			gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{noneIsMine}, Observer: &told})
			a := send(gate, request("Authorization", test.authorization))
			a.check(t, test.status, test.code)
			if scheme, _, _ := strings.Cut(a.header.Get("WWW-Authenticate"), " "); scheme != test.challenge {
				t.Errorf("challenge %s, want %s", a.header.Get("WWW-Authenticate"), test.challenge)
			}
			if event := told.only(t); event.Reason != test.reason {
				t.Errorf("reason %s, want %s", event.Reason, test.reason)
			}
		})
	}
}

// The gate hands on a request of its own and leaves the one it was given alone.
func TestOriginalRequestIsNotTouched(t *testing.T) {
	everything := []string{
		"Authorization", "Bearer good", "Cookie", "sid=s1; theme=dark", "Cookie", "sid.1=s2",
		"Dpop", "proof", "X-Custom", "1", "X-Custom", "2", "Accept", "*/*",
	}
	gate := gateOf(t, bearer{tokens: map[string]*gatehouse.Principal{"good": person()}}, sloppyCookie{"sid", "s1"})
	r := request(everything...)
	before := r.Clone(r.Context())
	pointer := r.Context()

	reached := false
	gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, next *http.Request) {
		reached = true
		if next == r {
			t.Error("the handler was given the original request")
		}
		next.Header.Set("X-Custom", "3")
		next.Header.Add("Accept", "text/html")
		next.Header.Set("X-New", "1")
		next.Method = "DELETE"
	})).ServeHTTP(httptest.NewRecorder(), r)

	if !reached {
		t.Fatal("the handler was not reached")
	}
	if !reflect.DeepEqual(r.Header, before.Header) {
		t.Errorf("header %v, was %v", r.Header, before.Header)
	}
	if r.Method != before.Method || r.Context() != pointer {
		t.Error("method or context of the original was changed")
	}
}

// A gate holds nothing of one request for the next one.
func TestGateIsSafeForConcurrentUse(t *testing.T) {
	tokens := map[string]*gatehouse.Principal{}
	for i := range 8 {
		p := person()
		p.Subject = fmt.Sprint("user", i)
		tokens[fmt.Sprint("token", i)] = p
	}
	handler := gateOf(t, sloppyCookie{"sid", "s1"}, bearer{tokens: tokens}).Handler(gatehouse.Require()(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := gatehouse.FromContext(r.Context())
			_, _ = io.WriteString(w, p.Subject)
		})))
	done := make(chan struct{})
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 200 {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, request("Authorization", fmt.Sprint("Bearer token", i), "Cookie", "sid=s1; a=b"))
				if w.Code != 200 || w.Body.String() != fmt.Sprint("user", i) {
					t.Errorf("%d: %d %s", i, w.Code, w.Body)
				}
				w = httptest.NewRecorder()
				handler.ServeHTTP(w, request("Authorization", "Bearer bad"))
				if w.Code != 401 {
					t.Errorf("%d: %d %s", i, w.Code, w.Body)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// No eight characters in a row of a credential are in what is sent or told.
func TestNothingOfTheCredentialGetsOut(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.Zm9yYmlkZGVuLXRyZWFzdXJl.c2lnbmF0dXJl"
	const broken = token + "!"
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + token},
		{"Authorization", "Bearer " + broken},
		{"Authorization", "DPoP " + token},
		{"Authorization", "ApiKey " + token},
		{"Authorization", "Basic " + token},
		{"Authorization", token},
		{"Authorization", "Bearer " + token, "Authorization", "Bearer " + token},
		{"X-API-Key", token},
		{"Cookie", "sid=" + token},
	} {
		var told events
		gate := newGate(t, gatehouse.Config{
			Authenticators: []gatehouse.Authenticator{bearer{}, xAPIKey{"k1"}, sloppyCookie{"sid", "s1"}}, Observer: &told,
		})
		r := request(headers...)
		r.URL.RawQuery = "access_token=" + token
		a := send(gate, r)
		out := fmt.Sprintf("%v %s %+v", a.header, a.body, told.only(t))
		for i := range len(token) - 8 {
			if strings.Contains(out, token[i:i+8]) {
				t.Errorf("%q of the credential is in %s", token[i:i+8], out)
				break
			}
		}
	}
}

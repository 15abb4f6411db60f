// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// The header of a confirmer is its own, and may be the same for all requests.
func TestHeaderOfConfirmerIsNotChanged(t *testing.T) {
	seen := http.Header{"X-Seen": {"jkt"}}
	first, second := byProof, byCertificate
	first.header, second.header = seen, http.Header{"x-seen": {"x5t"}, "X-More": {"1"}}
	c := newConfirmers(first, second)
	for range 2 {
		header, err := c.Confirm(request("jkt", "aT", "x5t", "bT"), "DPoP", "T", must(c.Parse(`{"jkt":"a","x5t":"b"}`)), validated)
		noError(t, err)
		equal(t, "header", strings.Join(header["X-Seen"], " "), "jkt x5t")
		equal(t, "second header", header.Get("X-More"), "1")
		equal(t, "header of the confirmer", strings.Join(seen["X-Seen"], " "), "jkt")
	}
}

// validated is the time at which the tokens of these tests were validated.
var validated = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// confirmer accepts a request whose header of the same name as its member has
// the value of the member.
type confirmer struct {
	confirms gatehouse.Confirms
	err      error
	header   http.Header // nil for one that names the member
}

func (c confirmer) Confirms() gatehouse.Confirms { return c.confirms }

func (c confirmer) Confirm(r *http.Request, token, member string, now time.Time) (http.Header, error) {
	if c.err != nil {
		return nil, c.err
	}
	if r.Header.Get(c.confirms.Member) != member+token || now != validated {
		return nil, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: "test_proof"}
	}
	if c.header != nil {
		return c.header, nil
	}
	return http.Header{"X-Seen": {c.confirms.Member}}, nil
}

var (
	byProof = confirmer{confirms: gatehouse.Confirms{
		Member: "jkt", Binding: "dpop", Scheme: gatehouse.Scheme{Name: "DPoP", Companions: []string{"DPoP"}, Always: true},
	}}
	byCertificate = confirmer{confirms: gatehouse.Confirms{Member: "x5t", Binding: "mtls", Companions: []string{"Client-Cert"}}}
)

func newConfirmers(list ...gatehouse.Confirmer) *gatehouse.Confirmers {
	return must(gatehouse.NewConfirmers(list...))
}

func TestNewConfirmersReportsEveryMistake(t *testing.T) {
	var typedNil *confirmer
	other := byProof
	other.confirms.Member, other.confirms.Scheme.Name = "jkt2", "dpop"
	_, err := gatehouse.NewConfirmers(nil, typedNil, confirmer{}, byProof, byProof, other, byCertificate, byCertificate,
		confirmer{confirms: gatehouse.Confirms{Member: "kid"}}, confirmer{confirms: gatehouse.Confirms{Binding: "kid"}})
	want := strings.Join([]string{
		"confirmer 0: nil", "confirmer 1: nil",
		"confirmer 2 (gatehouse_test.confirmer): Confirms: Member and Binding are required",
		"confirmer 4 (gatehouse_test.confirmer): duplicate member or scheme",
		"confirmer 5 (gatehouse_test.confirmer): duplicate member or scheme",
		"confirmer 7 (gatehouse_test.confirmer): duplicate member or scheme",
		"confirmer 8 (gatehouse_test.confirmer): Confirms: Member and Binding are required",
		"confirmer 9 (gatehouse_test.confirmer): Confirms: Member and Binding are required",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("NewConfirmers error\n%v, want\n%s", err, want)
	}
}

// RFC 7800 §3.1: a token is accepted only if each member of its cnf claim is
// confirmed.
//
// Covers RFC 7800 §3.1.
func TestConfirmersParse(t *testing.T) {
	both := newConfirmers(byCertificate, byProof)
	for _, test := range []struct {
		name       string
		confirmers *gatehouse.Confirmers
		cnf        string
		binding    gatehouse.Binding // "" if it is rejected
	}{
		{"one member", both, `{"jkt":"a"}`, "dpop"},
		{"two members", both, `{"jkt":"a","x5t":"b"}`, "dpop+mtls"},
		{"two members in another order", both, `{"x5t":"b","jkt":"a"}`, "dpop+mtls"},
		{"a member that nothing confirms", both, `{"jkt":"a","jwk":{}}`, ""},
		{"only a member that nothing confirms", both, `{"kid":"a"}`, ""},
		{"no confirmer of the member", newConfirmers(byCertificate), `{"jkt":"a"}`, ""},
		{"no confirmers", newConfirmers(), `{"jkt":"a"}`, ""},
		{"nil confirmers", nil, `{"jkt":"a"}`, ""},
		{"member that is an object", both, `{"jkt":{"kty":"EC"}}`, "dpop"},
		{"a deep member", both, `{"jkt":{"a":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}}`, ""},
		{"a member of many members", both, `{"jkt":{"a":[0` + strings.Repeat(",0", 70) + `]}}`, ""},
		{"a member twice", both, `{"jkt":"a","jkt":"a"}`, ""},
		{"an array", both, `{"jkt":["a"]}`, ""},
		{"an array of an object", both, `{"jkt":[{"kty":"EC"}]}`, ""},
		{"something behind the object", both, `{"jkt":"a"}{}`, ""},
		{"empty object", both, `{}`, ""},
		{"null", both, `null`, ""},
		{"no object", both, `"jkt"`, ""},
		{"no JSON", both, `{`, ""},
		{"empty", both, ``, ""},
		{"empty member", both, `{"jkt":""}`, ""},
		{"member of another type", both, `{"jkt":1}`, ""},
		{"null member beside a good one", both, `{"jkt":"a","x5t":null}`, ""},
		{"a member in other case", both, `{"JKT":"a"}`, ""},
		{"a member without a name beside a good one", both, `{"":"a","jkt":"a"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.confirmers.Parse(test.cnf)
			if got.Binding() != test.binding || (err == nil) != (test.binding != "") {
				t.Errorf("Parse(%s) = %q, %v; want %q", test.cnf, got.Binding(), err, test.binding)
			}
		})
	}
}

// Confirm rejects a bound token without its proof, and a downgrade: a bound token
// under another scheme, an unbound one under the scheme of bound ones.
//
// Covers ASVS 5.0 §10.3.5; RFC 9449 §7.1.
func TestConfirmersConfirm(t *testing.T) {
	broken := byCertificate
	broken.err = errors.New("OCSP responder is down")
	list := []gatehouse.Confirmer{byProof, byCertificate}
	const none, jkt, x5t, all = "", `{"jkt":"a"}`, `{"x5t":"b"}`, `{"jkt":"a","x5t":"b"}`
	const noMember = "gatehouse: scheme DPoP: the cnf claim of the token has no member jkt"
	const boundBy, scheme, noRequest = "gatehouse: the token is bound by ", ": the scheme must be DPoP", ": the proof of possession cannot be checked without a request"
	proof, certificate := []string{"jkt", "aT"}, []string{"x5t", "bT"}
	for _, test := range []struct {
		name, scheme, cnf string
		confirmers        []gatehouse.Confirmer
		headers           []string
		noRequest         bool
		status            int
		reason            gatehouse.Reason
		want              string // the headers, or the cause of ReasonUnconfirmed
	}{
		{"unbound Bearer", "Bearer", none, list, nil, false, 200, "", ""},
		{"unbound in a cookie", "", none, list, nil, false, 200, "", ""},
		{"unbound without a request", "", none, list, nil, true, 200, "", ""},
		{"unbound under DPoP", "dpop", none, list, proof, false, 401, gatehouse.ReasonUnconfirmed, noMember},
		{"bound to a certificate under DPoP", "DPoP", x5t, list, append(proof, certificate...), false, 401, gatehouse.ReasonUnconfirmed, noMember},
		{"proof", "dpop", jkt, list, proof, false, 200, "", "jkt"},
		{"proof of an object", "DPoP", `{"jkt":{"kty":"EC"}}`, list, []string{"jkt", `{"kty":"EC"}T`}, false, 200, "", "jkt"},
		{"no proof", "DPoP", jkt, list, nil, false, 401, "test_proof", ""},
		{"proof of another key", "DPoP", jkt, list, []string{"jkt", "xT"}, false, 401, "test_proof", ""},
		{"bound to a proof as Bearer", "Bearer", jkt, list, proof, false, 401, gatehouse.ReasonUnconfirmed, boundBy + "jkt" + scheme},
		{"bound to a proof in a cookie", "", jkt, list, proof, false, 401, gatehouse.ReasonUnconfirmed, boundBy + "jkt" + scheme},
		{"bound without a request", "DPoP", jkt, list, nil, true, 401, gatehouse.ReasonUnconfirmed, boundBy + "jkt" + noRequest},
		{"bound to a certificate without a request", "", x5t, list, nil, true, 401, gatehouse.ReasonUnconfirmed, boundBy + "x5t" + noRequest},
		{"certificate with Bearer", "Bearer", x5t, list, certificate, false, 200, "", "x5t"},
		{"certificate with a cookie", "", x5t, list, certificate, false, 200, "", "x5t"},
		{"another certificate", "Bearer", x5t, list, proof, false, 401, "test_proof", ""},
		{"both", "DPoP", all, list, append(proof, certificate...), false, 200, "", "jkt x5t"},
		{"both, no certificate", "DPoP", all, list, proof, false, 401, "test_proof", ""},
		{"both, no proof", "DPoP", all, list, certificate, false, 401, "test_proof", ""},
		{"failure", "Bearer", x5t, []gatehouse.Confirmer{broken}, nil, false, 503, gatehouse.ReasonAuthenticatorFailed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			confirmers := slices.Clone(test.confirmers)
			c := newConfirmers(confirmers...)
			clear(confirmers) // NewConfirmers has cloned it
			var confirmation gatehouse.Confirmation
			if test.cnf != none {
				confirmation = must(c.Parse(test.cnf))
			}
			r := request(test.headers...)
			if test.noRequest {
				r = nil
			}
			header, err := c.Confirm(r, test.scheme, "T", confirmation, validated)
			e, _ := errors.AsType[*gatehouse.Error](err)
			got := strings.Join(header["X-Seen"], " ")
			if e != nil && e.Reason == gatehouse.ReasonUnconfirmed {
				got += e.Cause.Error()
			}
			equal(t, "header or cause", got, test.want)
			if test.status == 200 {
				noError(t, err)
			} else if e == nil || e.Code.Status() != test.status || e.Reason != test.reason {
				t.Errorf("Confirm = %v, want %d %s", err, test.status, test.reason)
			} else if test.reason == gatehouse.ReasonUnconfirmed && e.Scheme != test.scheme {
				t.Errorf("Scheme = %q, want %q", e.Scheme, test.scheme)
			}
		})
	}
	var none2 *gatehouse.Confirmers
	if header, err := none2.Confirm(request(), "Bearer", "T", gatehouse.Confirmation{}, time.Now()); header != nil || err != nil {
		t.Errorf("nil Confirmers: Confirm = %v, %v", header, err)
	}
}

func TestConfirmersToken(t *testing.T) {
	other := byProof
	other.confirms.Member, other.confirms.Scheme.Name = "jk", "Other" // a prefix of jkt
	c := newConfirmers(byCertificate, byProof, other)
	for _, test := range []struct {
		confirmers    *gatehouse.Confirmers
		authorization []string
		scheme, token string
		ok, none      bool
	}{
		{c, []string{"Bearer a"}, "Bearer", "a", true, false},
		{c, []string{"dpop a"}, "DPoP", "a", true, false},
		{c, []string{"other a"}, "Other", "a", true, false},
		{nil, []string{"bearer a"}, "Bearer", "a", true, false},
		{nil, []string{"DPoP a"}, "", "", false, true},
		{c, []string{"Basic a"}, "", "", false, true},
		{c, nil, "", "", false, true},
		{c, []string{"DPoP"}, "", "", false, false},
		{c, []string{"Bearer"}, "", "", false, false},
		{c, []string{"DPoP a", "DPoP a"}, "", "", false, false},
		{c, []string{" a"}, "", "", false, true},
	} {
		r := request()
		r.Header["Authorization"] = test.authorization
		scheme, token, err := test.confirmers.Token(r)
		if (err == nil) != test.ok || errors.Is(err, gatehouse.ErrNoCredentials) != test.none || test.ok && (scheme != test.scheme || token != test.token) {
			t.Errorf("Token(%q) = %q, %q, %v; want %q, %q", test.authorization, scheme, token, err, test.scheme, test.token)
		}
	}
}

func TestConfirmersReads(t *testing.T) {
	c := newConfirmers(byProof, byCertificate)
	schemes := append(make([]gatehouse.Scheme, 0, 4), gatehouse.Scheme{Name: "Bearer"})
	companions := append(make([]string, 0, 4), "Own")
	own := gatehouse.Reads{Schemes: schemes, Companions: companions}
	got := c.Reads(own)
	if len(got.Schemes) != 2 || got.Schemes[1].Name != "DPoP" || len(got.Companions) != 2 || got.Companions[1] != "Client-Cert" {
		t.Errorf("Reads = %+v", got)
	}
	if companions[:2][1] != "" || schemes[:2][1].Name != "" {
		t.Error("Reads changes its argument")
	}
	var none *gatehouse.Confirmers
	if got := none.Reads(own); len(got.Schemes) != 1 {
		t.Errorf("nil Confirmers: Reads = %+v", got)
	}
}

// A proof that is valid once is not asked for again while a request is served. A
// certificate is.
func TestConfirmersOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once, again := counting{confirmer: byProof}, counting{confirmer: byCertificate}
		again.confirms.Rechecks = true
		c := newConfirmers(&once, &again)
		confirmation := must(c.Parse(`{"jkt":"a","x5t":"b"}`))
		gate := gateOf(t, authenticator{c.Reads(gatehouse.Reads{Rechecks: true}), func(r *http.Request) (gatehouse.Proof, error) {
			header, err := c.Confirm(r, "DPoP", "T", confirmation, validated)
			proof := gatehouse.NewProof(user())
			proof.Header = header
			return proof, err
		}})
		r := request("Authorization", "DPoP T", "jkt", "aT", "x5t", "bT")
		gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			noError(t, context.Cause(r.Context()))
		}))).ServeHTTP(httptest.NewRecorder(), r)
		if once.calls != 1 || again.calls < 4 {
			t.Errorf("calls of Confirm = %d and %d, want 1 and more than 4", once.calls, again.calls)
		}
	})
}

type counting struct {
	confirmer
	calls int
}

func (c *counting) Confirm(r *http.Request, token, member string, now time.Time) (http.Header, error) {
	c.calls++
	return c.confirmer.Confirm(r, token, member, now)
}

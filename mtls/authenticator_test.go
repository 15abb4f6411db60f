// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// overTLS returns a request over a connection whose handshake has verified the
// certificate.
func overTLS(p *pair) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.TLS = &tls.ConnectionState{
		NegotiatedProtocol: "h2", // without a server name, like a client that uses an address
		PeerCertificates:   []*x509.Certificate{p.certificate},
		VerifiedChains:     [][]*x509.Certificate{{p.certificate, root.certificate}},
	}
	return r
}

// bearer accepts every Bearer token.
type bearer struct{}

func (bearer) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}
}

func (bearer) Authenticate(*http.Request) (gatehouse.Proof, error) {
	return gatehouse.NewProof(&gatehouse.Principal{Method: "test", Subject: "ada"}), nil
}

func anyone(context.Context, *x509.Certificate) (gatehouse.Principal, error) {
	return gatehouse.Principal{Subject: "anyone"}, nil
}

func thumbprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestPrincipal(t *testing.T) {
	for _, test := range []struct {
		issuer, wantIssuer string
		kind, wantKind     gatehouse.Kind
	}{{"", "mtls", "", gatehouse.KindService}, {"corp", "corp", gatehouse.KindAgent, gatehouse.KindAgent}} {
		a := must(mtls.New(mtls.Config{Issuer: test.issuer, Subjects: []mtls.Subject{{
			SAN: "uri:" + billing, Subject: "billing", Kind: test.kind, Tenant: "acme", Client: "c1", Scopes: []string{"reports:read"}, Roles: []string{"reader"},
		}}}))
		want := gatehouse.Principal{
			Kind: test.wantKind, Issuer: test.wantIssuer, Subject: "billing", Tenant: "acme", Client: "c1", Method: mtls.Method, Binding: mtls.Binding,
			Credential: thumbprintOf(client.certificate.Raw), Expires: client.certificate.NotAfter,
			Scopes: must(gatehouse.NewScopes("reports:read")), Roles: must(gatehouse.NewRoles("reader")),
		}
		equal(t, "principal", must(a.Authenticate(overTLS(client))).Principal(), want)
	}
}

// raw adds names of any bytes.
func raw(names ...asn1.RawValue) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: must(asn1.Marshal(names))}}
	}
}

func name(tag int, value string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)}
}

// A name matches byte for byte and only as the kind that it is.
func TestNamesAreComparedByteForByte(t *testing.T) {
	const email, dns, uri = 1, 2, 6
	a := must(mtls.New(mtls.Config{Subjects: []mtls.Subject{
		{SAN: "uri:https://example.org/a", Subject: "uri"},
		{SAN: "dns:a.example.org", Subject: "dns"},
		{SAN: "email:a@example.org", Subject: "email"},
		{SAN: "dns:https://example.org/a", Subject: "wrong"},
	}}))
	type names = []asn1.RawValue
	for _, test := range []struct {
		want         string // "" for none
		certificates []names
	}{
		{"uri", []names{{name(uri, "https://example.org/a")}, {name(dns, "b.example.org"), name(uri, "https://example.org/a")}}},
		{"dns", []names{{name(dns, "a.example.org")}}},
		{"email", []names{{name(email, "a@example.org")}}},
		{"", []names{
			nil,
			{name(uri, "https://EXAMPLE.org/a")},
			{name(uri, "https://example.org/%61")},
			{name(uri, "https://example.org/a#")},
			{name(uri, "https://example.org/a?")},
			{name(uri, "HTTPS://example.org/a")},
			{name(dns, "A.example.org")},
			{name(dns, "*.example.org")},
			{name(dns, "a.example.org\x00")},
			{name(email, "a@example.org,b@example.org")},
			{name(uri, "https://example.org/a"), name(dns, "a.example.org")}, // two rows
			{name(uri, "https://example.org/a"), name(uri, "https://example.org/a")},
		}},
	} {
		for _, of := range test.certificates {
			proof, err := a.Authenticate(overTLS(issue(root, raw(of...))))
			if got := proof.Principal().Subject; got != test.want || (err == nil) != (test.want != "") || err != nil && !errors.Is(err, gatehouse.ErrNoCredentials) {
				t.Errorf("Authenticate(%v) = %q, %v, want %q", of, got, err, test.want)
			}
		}
	}
}

func TestPrincipalOfTheApplication(t *testing.T) {
	expired := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "test"}
	for _, test := range []struct {
		name   string
		p      gatehouse.Principal
		err    error
		reason gatehouse.Reason
	}{
		{"caller", gatehouse.Principal{Subject: "a", Issuer: "corp", Kind: gatehouse.KindUser, Method: "x", Binding: "x"}, nil, ""},
		{"own issuer", gatehouse.Principal{Subject: "a"}, nil, ""},
		{"no caller", gatehouse.Principal{}, fmt.Errorf("unknown: %w", gatehouse.ErrNoCredentials), ""},
		{"no subject", gatehouse.Principal{}, nil, mtls.ReasonPrincipalUnavailable},
		{"failure", gatehouse.Principal{}, errors.New("down"), mtls.ReasonPrincipalUnavailable},
		{"nil *Error", gatehouse.Principal{Subject: "a"}, (*gatehouse.Error)(nil), mtls.ReasonPrincipalUnavailable},
		{"refusal", gatehouse.Principal{}, expired, "test"},
		{"refusal of an unknown caller", gatehouse.Principal{}, &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "test", Cause: gatehouse.ErrNoCredentials}, "test"},
	} {
		called, issuer := 0, "mtls"
		if test.p.Issuer != "" {
			issuer = test.p.Issuer
		}
		a := must(mtls.New(mtls.Config{Principal: func(context.Context, *x509.Certificate) (gatehouse.Principal, error) {
			called++
			return test.p, test.err
		}}))
		proof, err := a.Authenticate(overTLS(client))
		equal(t, test.name+": reason", reasonOf(err), test.reason)
		if test.name == "no caller" && !errors.Is(err, gatehouse.ErrNoCredentials) {
			t.Errorf("%s: error = %v, want ErrNoCredentials", test.name, err)
		}
		if test.name == "failure" && !errors.Is(err, test.err) {
			t.Errorf("%s: error = %v, want one that wraps %v", test.name, err, test.err)
		}
		if p := proof.Principal(); err == nil && (p.Method != mtls.Method || p.Binding != mtls.Binding || p.Issuer != issuer || p.Credential == "" || p.Expires.IsZero()) {
			t.Errorf("%s: principal = %+v", test.name, p)
		}
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && test.reason == mtls.ReasonPrincipalUnavailable && (e.Issuer != "mtls" || e.Credential != mtls.Thumbprint(client.certificate)) {
			t.Errorf("%s: error of issuer %q and credential %q, want those of the certificate", test.name, e.Issuer, e.Credential)
		}
		server := issue(root, usage(0))
		_, err = a.Authenticate(overTLS(server))
		if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Issuer != "mtls" || e.Credential != mtls.Thumbprint(server.certificate) {
			t.Errorf("%s: error = %+v, want the issuer and the credential of the certificate", test.name, err)
		}
		equal(t, test.name+": reason of a certificate for another usage", reasonOf(err), mtls.ReasonUsage)
		equal(t, test.name+": calls", called, 1)
	}
}

// The certificates of one row share what the row says, and not what they say.
func TestCertificatesOfOneRow(t *testing.T) {
	a := must(mtls.New(mtls.Config{Subjects: []mtls.Subject{{SAN: "uri:spiffe://example.org/a", Subject: "a"}}}))
	first := issue(root, named("spiffe://example.org/a"))
	second := issue(root, func(c *x509.Certificate) {
		named("spiffe://example.org/a")(c)
		c.NotAfter = c.NotAfter.Add(-time.Minute)
	})
	for i, p := range []*pair{first, second, first, second} {
		principal := must(a.Authenticate(overTLS(p))).Principal()
		equal(t, fmt.Sprintf("certificate %d: credential", i), principal.Credential, thumbprintOf(p.certificate.Raw))
		equal(t, fmt.Sprintf("certificate %d: expiry", i), principal.Expires, p.certificate.NotAfter)
	}
}

// A certificate with several chains is valid as long as the longest of them.
func TestSeveralChains(t *testing.T) {
	a := must(mtls.New(mtls.Config{Principal: anyone}))
	p := issue(root, nil)
	short := *root.certificate
	short.NotAfter = p.certificate.NotAfter.Add(-time.Minute)
	long := []*x509.Certificate{p.certificate, root.certificate}
	for _, chains := range [][][]*x509.Certificate{{long, {p.certificate, &short}}, {{p.certificate, &short}, long}} {
		r := overTLS(p)
		r.TLS.PeerCertificates = []*x509.Certificate{must(x509.ParseCertificate(p.certificate.Raw))} // of another handshake
		r.TLS.VerifiedChains = chains
		equal(t, "expiry", must(a.Authenticate(r)).Principal().Expires, p.certificate.NotAfter)
	}
	r := overTLS(issue(root, nil))
	r.TLS.VerifiedChains = [][]*x509.Certificate{{r.TLS.PeerCertificates[0], &short}}
	equal(t, "expiry with one chain", must(a.Authenticate(r)).Principal().Expires, short.NotAfter)
}

// A certificate in the slot of another one is not that one. One that is not valid yet, or
// that of its CA, is accepted when it is.
func TestKnownCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := must(mtls.New(mtls.Config{Subjects: append([]mtls.Subject{{SAN: "uri:spiffe://example.org/a", Subject: "a"}}, subjects...)}))
		root := authority(nil)
		over := func(chain ...*x509.Certificate) *http.Request {
			r := overTLS(root)
			r.TLS.PeerCertificates, r.TLS.VerifiedChains = chain[:1], [][]*x509.Certificate{chain}
			return r
		}
		other := *issue(root, named("spiffe://example.org/a")).certificate
		first := issue(root, named(billing))
		other.Signature = first.certificate.Signature
		for _, c := range []*x509.Certificate{first.certificate, &other, first.certificate} {
			want := map[bool]string{true: "a", false: "billing"}[c == &other]
			equal(t, "subject", must(a.Authenticate(over(c, root.certificate))).Principal().Subject, want)
		}
		late := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
		authority := *root.certificate
		authority.NotBefore = time.Now().Add(time.Hour / 2)
		leaf := issue(root, func(c *x509.Certificate) { named(billing)(c); late(c) })
		for _, chain := range [][]*x509.Certificate{{leaf.certificate, root.certificate}, {first.certificate, &authority}} {
			a := must(mtls.New(mtls.Config{Subjects: subjects, AllowUnverifiedCertificates: true}))
			r := over(chain...)
			for _, want := range []gatehouse.Reason{mtls.ReasonExpired, ""} {
				_, err := a.Authenticate(r)
				equal(t, "reason", reasonOf(err), want)
				time.Sleep(time.Until(chain[0].NotBefore))
				time.Sleep(time.Until(chain[1].NotBefore))
			}
		}
	})
}

// A connection can outlive its certificate, and that of a CA in its chain.
func TestCertificateExpiresDuringConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := authority(nil)
		roots, _ := rootsOf(t, root)
		for _, roots := range []*mtls.Roots{nil, roots} {
			for _, ofLeaf := range []bool{true, false} {
				minute := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) }
				intermediate := issue(root, func(c *x509.Certificate) {
					if c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil; !ofLeaf {
						minute(c)
					}
				})
				leaf := issue(intermediate, func(c *x509.Certificate) {
					if named(billing)(c); ofLeaf {
						minute(c)
					}
				})
				chain := []*x509.Certificate{leaf.certificate, intermediate.certificate, root.certificate}
				r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
				r.TLS = &tls.ConnectionState{PeerCertificates: chain[:2], VerifiedChains: [][]*x509.Certificate{chain}}
				a := must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects}))
				equal(t, "expiry", must(a.Authenticate(r)).Principal().Expires, time.Now().Add(time.Minute).UTC())
				time.Sleep(time.Minute + time.Second)
				_, err := a.Authenticate(r)
				equal(t, "reason after the expiry", reasonOf(err), mtls.ReasonExpired)
				a = must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects}))
				_, err = a.Authenticate(r)
				equal(t, "reason of an authenticator that sees it for the first time", reasonOf(err), mtls.ReasonExpired)
				a = must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects}))
				_, err = a.Confirm(r, "token", mtls.Thumbprint(leaf.certificate), time.Now().Add(-time.Minute))
				equal(t, "reason for a token that was validated before, for the first time", reasonOf(err), mtls.ReasonExpired)
			}
		}
	})
}

// A revoked certificate is rejected, also in the later checks of a long request.
func TestRevocation(t *testing.T) {
	var revoked bool
	var failure error
	a := must(mtls.New(mtls.Config{Subjects: subjects, Revoked: func(_ context.Context, leaf *x509.Certificate) (bool, error) {
		if !leaf.Equal(client.certificate) {
			t.Error("Revoked was called with another certificate")
		}
		return revoked, failure
	}}))
	equal(t, "Confirms().Rechecks", a.Confirms().Rechecks, true)
	for _, test := range []struct {
		revoked bool
		failure error
		reason  gatehouse.Reason
		status  int
	}{
		{false, nil, "", 200},
		{true, nil, mtls.ReasonRevoked, 401},
		{true, errors.New("down"), mtls.ReasonRevocationUnavailable, 503},
		{false, context.DeadlineExceeded, mtls.ReasonRevocationUnavailable, 503},
	} {
		revoked, failure = test.revoked, test.failure
		_, err := a.Authenticate(overTLS(client))
		equal(t, "reason", reasonOf(err), test.reason)
		_, err = a.Confirm(overTLS(client), "token", thumbprintOf(client.certificate.Raw), time.Now())
		equal(t, "reason of Confirm", reasonOf(err), test.reason)
		if e, ok := errors.AsType[*gatehouse.Error](err); ok {
			equal(t, "status", e.Code.Status(), test.status)
		}
	}
}

// A certificate confirms a token at the time at which the token was validated, also once it
// is known.
func TestConfirmTime(t *testing.T) {
	a := must(mtls.New(mtls.Config{Subjects: subjects}))
	from, until := client.certificate.NotBefore, client.certificate.NotAfter
	for _, test := range []struct {
		name string
		now  time.Time
		want gatehouse.Reason
	}{
		{"now", time.Now(), ""},
		{"a second too early", from.Add(-time.Second), mtls.ReasonExpired},
		{"first second", from, ""},
		{"last second", until, ""},
		{"a second too late", until.Add(time.Second), mtls.ReasonExpired},
	} {
		_, err := a.Confirm(overTLS(client), "token", mtls.Thumbprint(client.certificate), test.now)
		equal(t, test.name, reasonOf(err), test.want)
	}
	_, err := a.Confirm(overTLS(client), "token", "other", time.Now())
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || !strings.Contains(e.Cause.Error(), mtls.Thumbprint(client.certificate)) {
		t.Errorf("Confirm(another thumbprint) error = %v, want a cause with that of the certificate", err)
	}
}

// A browser sends the certificate with the requests of every page.
func TestCrossSite(t *testing.T) {
	asked := false
	a := must(mtls.New(mtls.Config{Subjects: subjects, Revoked: func(context.Context, *x509.Certificate) (bool, error) {
		asked = true
		return false, nil
	}}))
	for _, test := range []struct {
		method string
		header map[string]string
		reason gatehouse.Reason
	}{
		{http.MethodPost, nil, ""},
		{http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-origin"}, ""},
		{http.MethodPost, map[string]string{"Sec-Fetch-Site": "none"}, ""},
		{http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site"}, mtls.ReasonCrossSite},
		{http.MethodPost, map[string]string{"Sec-Fetch-Site": "same-site"}, mtls.ReasonCrossSite},
		{http.MethodPost, map[string]string{"Origin": "https://evil.example"}, mtls.ReasonCrossSite},
		{http.MethodPost, map[string]string{"Origin": "null"}, mtls.ReasonCrossSite},
		{http.MethodPost, map[string]string{"Origin": "https://example.com"}, ""},
		{http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, mtls.ReasonCrossSite},
		{http.MethodGet, map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "websocket"}, mtls.ReasonCrossSite},
		{http.MethodGet, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, ""},
		{http.MethodPost, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, mtls.ReasonCrossSite},
	} {
		r := overTLS(client)
		r.Method = test.method
		for name, value := range test.header {
			r.Header.Set(name, value)
		}
		asked = false
		_, err := a.Authenticate(r)
		equal(t, fmt.Sprint(test.method, test.header), reasonOf(err), test.reason)
		equal(t, fmt.Sprint(test.method, test.header, ": Revoked is called"), asked, test.reason == "")
	}
}

// rfc8705 is the certificate of RFC 8705 appendix A.
const rfc8705 = `-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----`

// Covers RFC 8705 §3.1.
func TestThumbprint(t *testing.T) {
	block, _ := pem.Decode([]byte(rfc8705))
	certificate := must(x509.ParseCertificate(block.Bytes))
	equal(t, "Thumbprint", mtls.Thumbprint(certificate), "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0")
}

// Tokens of a real issuer, with the authenticator as their confirmer and beside
// them in the gate.
//
// Covers RFC 8705 §3 (TLS layer, mismatch).
func TestBoundTokens(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	certificates := must(mtls.New(mtls.Config{Subjects: subjects, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}))
	tokens := must(jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: issuer.URL, Audiences: []string{"https://api.example.com"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
		}},
		Confirmers: []gatehouse.Confirmer{certificates},
	}))
	t.Cleanup(func() { _ = tokens.Close() })
	var seen recorder
	h := gateOf(&seen, certificates, tokens)
	other := issue(root, named(billing))
	thumbprint := mtls.Thumbprint(client.certificate)
	bound := func(cnf any) string { return issuer.Token(authtest.Claims{"cnf": cnf}) }
	for _, test := range []struct {
		name        string
		token       string
		certificate *pair
		status      int
		reason      gatehouse.Reason
		binding     string
	}{
		{"bound", bound(map[string]any{"x5t#S256": thumbprint}), client, 200, "", "mtls"},
		{"another certificate", bound(map[string]any{"x5t#S256": thumbprint}), other, 401, mtls.ReasonThumbprint, ""},
		{"no certificate", bound(map[string]any{"x5t#S256": thumbprint}), nil, 401, mtls.ReasonNoCertificate, ""},
		{"hex", bound(map[string]any{"x5t#S256": fmt.Sprintf("%x", sha256.Sum256(client.certificate.Raw))}), client, 401, mtls.ReasonThumbprint, ""},
		{"padding", bound(map[string]any{"x5t#S256": thumbprint + "="}), client, 401, mtls.ReasonThumbprint, ""},
		{"prefix", bound(map[string]any{"x5t#S256": thumbprint[:42]}), client, 401, mtls.ReasonThumbprint, ""},
		{"another usage", bound(map[string]any{"x5t#S256": mtls.Thumbprint(noUsage.certificate)}), noUsage, 401, mtls.ReasonUsage, ""},
		{"empty", bound(map[string]any{"x5t#S256": ""}), client, 401, gatehouse.ReasonUnconfirmed, ""},
		{"a member that nothing confirms", bound(map[string]any{"x5t#S256": thumbprint, "jkt": "a"}), client, 401, gatehouse.ReasonUnconfirmed, ""},
		{"unbound", issuer.Token(nil), client, 200, "", ""},
		{"invalid token beside a good certificate", issuer.Token(nil) + "A", client, 401, jwtauth.ReasonSignature, ""},
		{"certificate alone", "", client, 200, "", "mtls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // the second time from the cache of tokens
				for _, proxied := range []bool{false, true} {
					r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
					switch {
					case test.certificate != nil && proxied:
						r = forwarded(proxy, test.certificate.header())
					case test.certificate != nil:
						r = overTLS(test.certificate)
					}
					if test.token != "" {
						r.Header.Set("Authorization", "Bearer "+test.token)
					}
					header := seen.check(t, h, r, test.status, test.reason)
					equal(t, "binding", header.Get("Binding"), test.binding)
					if challenge := header.Get("WWW-Authenticate"); test.status == 401 && !strings.Contains(challenge, `Bearer realm="test", error="invalid_token"`) {
						t.Errorf("WWW-Authenticate = %q, want invalid_token", challenge)
					}
				}
			}
		})
	}
}

var noUsage = issue(root, usage(x509.KeyUsageDigitalSignature))

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := mtls.New(mtls.Config{
		Roots: &mtls.Roots{}, Issuer: "a\nb", Proxies: []netip.Prefix{{}},
		Subjects: []mtls.Subject{
			{SAN: "ip:127.0.0.1", Subject: "a"},
			{SAN: billing, Subject: "a"},
			{SAN: "uri:", Subject: "a"},
			{SAN: "uri:a b", Subject: "a"},
			{SAN: "dns:*.example.org", Subject: "a"},
			{SAN: "email:a@b,c", Subject: "a"},
			{SAN: "email:a", Subject: "a"},
			{SAN: "uri:a:1"},
			{SAN: "uri:a:2", Subject: "a\n"},
			{SAN: "uri:a:3", Subject: "a", Tenant: "\n"},
			{SAN: "uri:a:4", Subject: "a", Client: "\n"},
			{SAN: "uri:a:5", Subject: "a", Scopes: []string{"a b"}},
			{SAN: "uri:a:6", Subject: "a", Roles: []string{""}},
			{SAN: "uri:a:7", Subject: "a"},
			{SAN: "uri:a:7", Subject: "a"},
			{SAN: "uri:" + strings.Repeat("*", 2048), Subject: "a"}, // the only good one
			{SAN: "uri:" + strings.Repeat("*", 2049), Subject: "a"},
			{SAN: "email:a@b@c", Subject: "a"},
			{SAN: "uri:a:7"},
		},
	})
	want := strings.Join([]string{
		"mtls: Config.Issuer: must be at most 255 bytes of UTF-8 without control characters",
		"mtls: Config.Roots: must come from NewRoots",
		"mtls: Config.Proxies[0]: invalid network",
		`mtls: Config.Subjects[0].SAN: must begin with "uri:", "dns:" or "email:"`,
		`mtls: Config.Subjects[1].SAN: must begin with "uri:", "dns:" or "email:"`,
		"mtls: Config.Subjects[2].SAN: the name must be 1 to 2048 bytes of printable ASCII without spaces",
		"mtls: Config.Subjects[3].SAN: the name must be 1 to 2048 bytes of printable ASCII without spaces",
		"mtls: Config.Subjects[4].SAN: a wildcard names no caller",
		"mtls: Config.Subjects[5].SAN: not one email address",
		"mtls: Config.Subjects[6].SAN: not one email address",
		"mtls: Config.Subjects[7].Subject: required, at most 255 bytes of UTF-8 without control characters",
		"mtls: Config.Subjects[8].Subject: required, at most 255 bytes of UTF-8 without control characters",
		"mtls: Config.Subjects[9].Tenant: must be at most 255 bytes of UTF-8 without control characters",
		"mtls: Config.Subjects[10].Client: must be at most 255 bytes of UTF-8 without control characters",
		"mtls: Config.Subjects[11].Scopes: gatehouse: malformed scope \"a b\"",
		"mtls: Config.Subjects[12].Roles: gatehouse: malformed role",
		"mtls: Config.Subjects[14].SAN: duplicate of an earlier row",
		"mtls: Config.Subjects[16].SAN: the name must be 1 to 2048 bytes of printable ASCII without spaces",
		"mtls: Config.Subjects[17].SAN: not one email address",
		"mtls: Config.Subjects[18].Subject: required, at most 255 bytes of UTF-8 without control characters",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("New error\n%s", cmp.Diff(want, fmt.Sprint(err)))
	}
}

// What a request costs once the certificate of its connection is known.
func TestAllocations(t *testing.T) {
	roots, _ := rootsOf(t, root)
	a := must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects, Proxies: loopback}))
	for name, r := range map[string]*http.Request{"connection": overTLS(client), "header": forwarded(proxy, client.header())} {
		t.Run(name, func(t *testing.T) {
			thumbprint := mtls.Thumbprint(client.certificate)
			alloctest.AtMost(t, 0, func() { _, _ = a.Authenticate(r) })
			alloctest.AtMost(t, 0, func() { _, _ = a.Confirm(r, "token", thumbprint, time.Now()) })
		})
	}
}

// A certificate of an unknown CA proves nothing, also if it becomes valid between the
// search for its chain and the check of its time.
func TestCertificateThatBecomesValidDuringTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		future := func(c *x509.Certificate) {
			named(billing)(c)
			c.NotBefore = time.Now().Add(time.Second)
		}
		known := authority(nil)
		roots, _ := rootsOf(t, known)
		a := must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects}))
		for name, by := range map[string]*pair{"its own": nil, "another CA": authority(nil), "a CA of the roots": known} {
			leaf := issue(by, future).certificate
			err := a.ProblemOf(leaf, func() { time.Sleep(2 * time.Second) })
			equal(t, "reason of a certificate signed by "+name, reasonOf(err), mtls.ReasonExpired)
		}
	})
}

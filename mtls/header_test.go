// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// rfc9440 is the certificate of RFC 9440 appendix A.
const rfc9440 = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJ" +
	"MZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0" +
	"yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZ" +
	"Izj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be" +
	"5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgN" +
	"VHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0" +
	"lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCq" +
	"GSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/k" +
	"HSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:"

// A request through a proxy, from the address of httptest.NewRequest or from
// another one.
func forwarded(from string, values ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.RemoteAddr = from
	for _, v := range values {
		r.Header.Add("Client-Cert", v)
	}
	return r
}

const proxy = "127.0.0.1:4711"

// Covers RFC 9440 §2.1, §2.2, §2.4 (reject), §4 (trusted).
func TestClientCert(t *testing.T) {
	good := client.header()
	inner := good[1 : len(good)-1]
	padded := client
	for len(padded.certificate.Raw)%3 == 0 {
		padded = issue(root, named(billing))
	}
	stray := strings.TrimRight(padded.header()[1:], "=:")
	padding := strings.Repeat("=", 3-len(padded.certificate.Raw)%3)
	large := issue(root, func(c *x509.Certificate) {
		for range 500 {
			named(billing, "https://example.org/"+strings.Repeat("a", 20))(c)
		}
	})
	twice := ":" + base64.StdEncoding.EncodeToString(append(append([]byte{}, client.certificate.Raw...), client.certificate.Raw...)) + ":"
	for _, test := range []struct {
		name   string
		from   string
		values []string
		status int
		reason gatehouse.Reason
	}{
		{"from the proxy", proxy, []string{good}, 200, ""},
		{"from the proxy over IPv6", "[::ffff:127.0.0.1]:4711", []string{good}, 200, ""},
		{"none", proxy, nil, 401, gatehouse.ReasonNoCredentials},
		{"none from another peer", "192.0.2.1:4711", nil, 401, gatehouse.ReasonNoCredentials},
		{"from another peer", "192.0.2.1:4711", []string{good}, 400, mtls.ReasonPeer},
		{"empty from another peer", "192.0.2.1:4711", []string{""}, 400, mtls.ReasonPeer},
		{"from no address", "@", []string{good}, 400, mtls.ReasonPeer},
		{"twice", proxy, []string{good, good}, 400, mtls.ReasonHeader},
		{"empty", proxy, []string{""}, 400, mtls.ReasonHeader},
		{"list", proxy, []string{good + ", " + good}, 400, mtls.ReasonHeader},
		{"comma", proxy, []string{good + ","}, 400, mtls.ReasonHeader},
		{"parameter", proxy, []string{good + ";a=1"}, 400, mtls.ReasonHeader},
		{"space", proxy, []string{good + " "}, 400, mtls.ReasonHeader},
		{"no colons", proxy, []string{inner}, 400, mtls.ReasonHeader},
		{"another character before", proxy, []string{"x" + good[1:]}, 400, mtls.ReasonHeader},
		{"another character after", proxy, []string{good[:len(good)-1] + "x"}, 400, mtls.ReasonHeader},
		{"one colon", proxy, []string{":"}, 400, mtls.ReasonHeader},
		{"empty item", proxy, []string{"::"}, 400, mtls.ReasonHeader},
		{"line break", proxy, []string{":" + inner[:8] + "\r\n" + inner[8:] + ":"}, 400, mtls.ReasonHeader},
		{"base64url", proxy, []string{":" + base64.URLEncoding.EncodeToString([]byte{0xfb, 0xff, 0xfe}) + ":"}, 400, mtls.ReasonHeader},
		{"stray bits", proxy, []string{":" + stray[:len(stray)-1] + string(stray[len(stray)-1]+1) + padding + ":"}, 400, mtls.ReasonHeader},
		{"two certificates", proxy, []string{twice}, 400, mtls.ReasonHeader},
		{"PEM", proxy, []string{strings.ReplaceAll(string(pemOf(client)), "\n", " ")}, 400, mtls.ReasonHeader},
		{"oversized", proxy, []string{large.header()}, 400, mtls.ReasonHeader},
		{"expired", proxy, []string{rfc9440}, 401, mtls.ReasonExpired},
		{"usage", proxy, []string{issue(root, usage(0)).header()}, 401, mtls.ReasonUsage},
		{"no row", proxy, []string{issue(root, nil).header()}, 401, gatehouse.ReasonNoCredentials},
		{"verified by the proxy alone", proxy, []string{issue(authority(nil), named(billing)).header()}, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen recorder
			rows := append([]mtls.Subject{{SAN: "email:bdc@example.com", Subject: "bdc"}}, subjects...)
			a := must(mtls.New(mtls.Config{Subjects: rows, Proxies: loopback}))
			h := gateOf(&seen, a)
			for range 2 { // the second time from the cache
				seen.check(t, h, forwarded(test.from, test.values...), test.status, test.reason)
			}
			if test.reason == mtls.ReasonPeer { // a forged header confirms no token
				_, err := a.Confirm(forwarded(test.from, test.values...), "token", mtls.Thumbprint(client.certificate), time.Now())
				equal(t, "reason of Confirm", reasonOf(err), mtls.ReasonPeer)
			}
		})
	}
}

// With roots, the certificate is verified again, with the intermediate
// certificates of Client-Cert-Chain.
//
// Covers RFC 9440 §2.3.
func TestClientCertChain(t *testing.T) {
	intermediate := authority(root)
	unknown := authority(nil)
	behind, stranger := issue(intermediate, named(billing)), issue(unknown, named(billing))
	servers := issue(root, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	roots, _ := rootsOf(t, root)
	large := issue(root, func(c *x509.Certificate) {
		c.Subject.OrganizationalUnit = slices.Repeat([]string{strings.Repeat("a", 60)}, 200)
	})
	many := strings.Repeat(intermediate.header()+", ", 9)
	largest := root.header() + "," + strings.Repeat(" ", 48<<10-len(root.header()+","+intermediate.header())) + intermediate.header()
	for _, test := range []struct {
		name   string
		leaf   *pair
		chain  []string
		status int
		reason gatehouse.Reason
	}{
		{"direct", client, nil, 200, ""},
		{"intermediate missing", behind, nil, 401, mtls.ReasonUntrusted},
		{"intermediate", behind, []string{intermediate.header()}, 200, ""},
		{"list", behind, []string{root.header() + " ,\t" + intermediate.header()}, 200, ""},
		{"several fields", behind, []string{root.header(), intermediate.header()}, 200, ""},
		{"longest list", behind, []string{strings.TrimSuffix(many[len(many)/9:], ", ")}, 200, ""},
		{"large list", behind, []string{intermediate.header(), large.header()}, 200, ""}, // longer than a Client-Cert may be
		{"largest", behind, []string{largest}, 200, ""},
		{"a byte more", behind, []string{largest + " "}, 400, mtls.ReasonHeader},
		{"intermediate for servers", issue(servers, named(billing)), []string{servers.header()}, 401, mtls.ReasonUntrusted},
		{"unknown CA", stranger, nil, 401, mtls.ReasonUntrusted},
		{"unknown CA in the chain", stranger, []string{unknown.header()}, 401, mtls.ReasonUntrusted},
		{"empty item", behind, []string{intermediate.header() + ","}, 400, mtls.ReasonHeader},
		{"parameter", behind, []string{intermediate.header() + ";a"}, 400, mtls.ReasonHeader},
		{"too many", behind, []string{strings.TrimSuffix(many, ", ")}, 400, mtls.ReasonHeader},
		{"oversized", behind, slices.Repeat([]string{large.header()}, 3), 400, mtls.ReasonHeader},
		{"without a leaf", nil, []string{intermediate.header()}, 400, mtls.ReasonHeader},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen recorder
			h := gateOf(&seen, must(mtls.New(mtls.Config{Subjects: subjects, Proxies: loopback, Roots: roots})))
			r := forwarded(proxy)
			if test.leaf != nil {
				r.Header.Set("Client-Cert", test.leaf.header())
			}
			r.Header["Client-Cert-Chain"] = test.chain
			seen.check(t, h, r, test.status, test.reason)
			if test.leaf == behind && test.status == 200 { // also if the leaf is in the cache
				delete(r.Header, "Client-Cert-Chain")
				seen.check(t, h, r, 401, mtls.ReasonUntrusted)
			}
			r.Header["Client-Cert-Chain"] = []string{"junk"}
			seen.check(t, h, r, 400, mtls.ReasonHeader)
		})
	}
}

// Without Proxies the header is not read.
func TestClientCertIsOffByDefault(t *testing.T) {
	var seen recorder
	a := must(mtls.New(mtls.Config{Subjects: subjects}))
	seen.check(t, gateOf(&seen, a), forwarded(proxy, client.header()), 401, gatehouse.ReasonNoCredentials)
	equal(t, "headers that the gate removes", len(a.Reads().Companions)+len(a.Confirms().Companions), 0)
}

// A proxy has a certificate of its own, which is not that of its client. The
// certificate of any other peer counts.
func TestProxyCertificateIsNotThatOfTheClient(t *testing.T) {
	a := must(mtls.New(mtls.Config{Subjects: append([]mtls.Subject{{SAN: "dns:proxy.example.org", Subject: "proxy"}}, subjects...), Proxies: loopback}))
	own := issue(root, func(c *x509.Certificate) { c.DNSNames = []string{"proxy.example.org"} })
	for _, test := range []struct {
		from, header, subject string
	}{
		{proxy, "", ""},
		{proxy, client.header(), "billing"},
		{"192.0.2.1:4711", "", "proxy"},
	} {
		r := overTLS(own)
		if r.RemoteAddr = test.from; test.header != "" {
			r.Header.Set("Client-Cert", test.header)
		}
		proof, _ := a.Authenticate(r)
		equal(t, "subject from "+test.from, proof.Principal().Subject, test.subject)
	}
}

// The guard refuses forged and malformed headers beside an explicit credential
// too.
func TestHeaderGuard(t *testing.T) {
	a := must(mtls.New(mtls.Config{Subjects: subjects, Proxies: loopback}))
	var seen recorder
	h := gateOf(&seen, a.HeaderGuard(), a, bearer{})
	for _, test := range []struct {
		from   string
		header http.Header
		status int
		reason gatehouse.Reason
	}{
		{proxy, http.Header{"Client-Cert": {client.header()}}, 200, ""},
		{proxy, http.Header{"Client-Cert": {"junk"}}, 400, mtls.ReasonHeader},
		{"192.0.2.1:4711", http.Header{"Client-Cert": {client.header()}}, 400, mtls.ReasonPeer},
		{"192.0.2.1:4711", http.Header{}, 200, ""},
		{"192.0.2.1:4711", http.Header{"Client-Cert-Chain": {root.header()}}, 400, mtls.ReasonPeer},
	} {
		r := forwarded(test.from)
		r.Header = test.header
		r.Header.Set("Authorization", "Bearer token")
		header := seen.check(t, h, r, test.status, test.reason)
		equal(t, "binding of an unbound token", header.Get("Binding"), "")
		equal(t, "WWW-Authenticate", header.Get("WWW-Authenticate"), "")
	}
}

// What the parser accepts is exactly one certificate in its one encoding.
func FuzzClientCert(f *testing.F) {
	f.Add(client.header())
	f.Add(rfc9440)
	f.Add(":" + base64.StdEncoding.EncodeToString([]byte("0")) + ":")
	a := must(mtls.New(mtls.Config{Proxies: loopback, Principal: anyone}))
	f.Fuzz(func(t *testing.T, value string) {
		proof, err := a.Authenticate(forwarded(proxy, value))
		if err != nil {
			return
		}
		der, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
		if err != nil || value != ":"+base64.StdEncoding.EncodeToString(der)+":" || proof.Principal().Credential != thumbprintOf(der) {
			t.Errorf("Authenticate accepted %q", value)
		}
	})
}

// Two headers that end alike are those of two callers.
func TestHeadersThatEndAlike(t *testing.T) {
	other := &pair{must(x509.ParseCertificate(bytes.Replace(client.certificate.Raw, []byte("/billing"), []byte("/bill__x"), 1))), nil}
	a := must(mtls.New(mtls.Config{Proxies: loopback, Subjects: append([]mtls.Subject{{SAN: "uri:spiffe://example.org/bill__x", Subject: "other"}}, subjects...)}))
	for _, p := range []*pair{client, other, client} {
		r := forwarded(proxy)
		r.Header.Set("Client-Cert", p.header())
		want := map[bool]string{true: "other", false: "billing"}[p == other]
		equal(t, "subject", must(a.Authenticate(r)).Principal().Subject, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

const workload = "spiffe://example.org/agent"

// certificate returns a client certificate with a URI.
func newCertificate(uri string, usage x509.ExtKeyUsage) *x509.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, URIs: []*url.URL{must(url.Parse(uri))}, EmailAddresses: []string{"ops@example.org"},
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

// over returns a request over a connection with a verified client certificate.
func over(r *http.Request, certificate *x509.Certificate) *http.Request {
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}, VerifiedChains: [][]*x509.Certificate{{certificate}}}
	return r
}

// svid returns a JWT-SVID.
func svid(by party, changes object) string {
	claims := object{"sub": workload, "aud": []string{origin}, "exp": time.Now().Unix() + 300}
	maps.Copy(claims, changes)
	return string(must(by.ring.SignJWT("JWT", claims)).Reveal())
}

// trustDomain returns a verifier of JWT-SVIDs by the keys of people.
func trustDomain(t *testing.T) *spiffe.Verifier {
	var key object
	must(0, json.Unmarshal([]byte(people.jwk), &key))
	key["use"], key["kid"] = "jwt-svid", "k1"
	name := filepath.Join(t.TempDir(), "bundle.json")
	must(0, os.WriteFile(name, must(json.Marshal(object{"keys": []object{key}})), 0o600))
	return must(spiffe.New(spiffe.Config{TrustDomains: map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(name)}, Audiences: []string{origin}}))
}

const typeSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

func TestClientsByCertificateAndSVID(t *testing.T) {
	w := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) {
		c.Certificates, c.SPIFFE = &mtls.Config{Subjects: []mtls.Subject{{SAN: "uri:" + workload, Subject: "unused"}}}, trustDomain(t)
	})
	certificate, other := newCertificate(workload, x509.ExtKeyUsageClientAuth), newCertificate("spiffe://example.org/other", x509.ExtKeyUsageClientAuth)
	roles := must(gatehouse.NewRoles("reader"))
	for _, a := range []agent.Agent{
		{ID: "by-name", Tenant: "acme", Roles: roles, Certificates: []string{"uri:" + workload}},
		{ID: "by-longer-thumbprint", Tenant: "acme", Roles: roles, Certificates: []string{"sha256:" + mtls.Thumbprint(certificate) + "A"}},
		{ID: "by-svid", Tenant: "acme", Roles: roles, SPIFFEID: workload},
		{ID: "by-thumbprint", Tenant: "acme", Roles: roles, Certificates: []string{"sha256:" + mtls.Thumbprint(certificate)}},
	} {
		w.register(t, a)
	}
	basic := over(tokenRequest("", "client_id", "by-name"), certificate)
	basic.SetBasicAuth("by-name", "x")
	for name, test := range map[string]struct {
		request *http.Request
		want    string // the error
		reason  gatehouse.Reason
	}{
		"by name":                           {over(tokenRequest("", "client_id", "by-name"), certificate), "", ""},
		"by thumbprint":                     {over(tokenRequest("", "client_id", "by-thumbprint"), certificate), "", ""},
		"another certificate":               {over(tokenRequest("", "client_id", "by-name"), other), "invalid_client", agent.ReasonClient},
		"another thumbprint":                {over(tokenRequest("", "client_id", "by-thumbprint"), other), "invalid_client", agent.ReasonClient},
		"a longer thumbprint":               {over(tokenRequest("", "client_id", "by-longer-thumbprint"), certificate), "invalid_client", agent.ReasonClient},
		"without certificate":               {tokenRequest("", "client_id", "by-name"), "invalid_client", agent.ReasonClient},
		"without client_id":                 {over(tokenRequest(""), certificate), "invalid_client", agent.ReasonClient},
		"of another agent":                  {over(tokenRequest("", "client_id", "reader"), certificate), "invalid_client", agent.ReasonClient},
		"with an unknown assertion":         {over(tokenRequest("", "client_id", "by-name", "client_assertion_type", "x"), certificate), "invalid_client", agent.ReasonClient},
		"with Authorization":                {basic, "invalid_client", agent.ReasonClient},
		"of a server":                       {over(tokenRequest("", "client_id", "by-name"), newCertificate(workload, x509.ExtKeyUsageServerAuth)), "invalid_client", mtls.ReasonUsage},
		"of a server, by assertion":         {over(tokenRequest("helper-1"), newCertificate(workload, x509.ExtKeyUsageServerAuth)), "invalid_client", mtls.ReasonUsage},
		"assertion of an agent without key": {tokenRequest("", "client_id", "by-name", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", svid(people, object{"iss": "by-name"})), "invalid_client", "assertion_client"},
		"SVID":                              {tokenRequest("", "client_id", "by-svid", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, nil)), "", ""},
		"SVID of another workload":          {tokenRequest("", "client_id", "by-svid", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, object{"sub": "spiffe://example.org/other"})), "invalid_client", agent.ReasonClient},
		"SVID of an agent without one":      {tokenRequest("", "client_id", "reader", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, nil)), "invalid_client", agent.ReasonClient},
		"SVID of a stranger":                {tokenRequest("", "client_id", "by-svid", "client_assertion_type", typeSPIFFE, "client_assertion", svid(stranger, nil)), "invalid_client", spiffe.ReasonSignature},
		"SVID for another server":           {tokenRequest("", "client_id", "by-svid", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, object{"aud": []string{"https://evil.example"}})), "invalid_client", spiffe.ReasonAudience},
		"another assertion type":            {over(tokenRequest("", "client_id", "by-name", "client_assertion_type", "x", "client_assertion", "y"), certificate), "invalid_client", agent.ReasonClient},
		"assertion without type":            {over(tokenRequest("", "client_id", "by-name", "client_assertion", "y"), certificate), "invalid_client", agent.ReasonClient},
	} {
		if got := w.ask(test.request); got.Error != test.want || test.want != "" && w.events.last().Reason != test.reason {
			t.Errorf("%s: response = %d %q (%s: %v), want %q (%s)", name, got.Status, got.Error, w.events.last().Reason, w.events.last().Cause, test.want, test.reason)
		}
		if got, id := w.events.last().Credential, test.request.Form.Get("client_id"); test.reason == agent.ReasonClient && name != "with Authorization" && got != id {
			t.Errorf("%s: credential of the refusal = %q, want %q", name, got, id)
		}
	}
	without := newWorld(t)
	if got := without.ask(tokenRequest("", "client_id", "reader", "client_assertion_type", typeSPIFFE, "client_assertion", svid(people, nil))); got.Error != "invalid_client" {
		t.Errorf("SVID without verifier = %d %q, want invalid_client", got.Status, got.Error)
	}
}

func TestTokensAreBoundToTheConnection(t *testing.T) {
	w := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) { c.Certificates = &mtls.Config{} })
	certificate := newCertificate(workload, x509.ExtKeyUsageClientAuth)
	thumbprint := mtls.Thumbprint(certificate)
	own := w.token(t, over(tokenRequest("helper-1"), certificate))
	if diff := cmp.Diff(any(object{"x5t#S256": thumbprint}), claimsOf(own)["cnf"]); diff != "" {
		t.Errorf("cnf (-want +got):\n%s", diff)
	}
	if e := w.events.last(); e.Principal.Binding != mtls.Binding {
		t.Errorf("binding in the event = %q, want %q", e.Principal.Binding, mtls.Binding)
	}
	bound := person(object{"cnf": object{"x5t#S256": "another"}})
	if got := w.ask(over(exchangeRequest("helper-1", bound), certificate)); got.Error != "" || !cmp.Equal(claimsOf(got.AccessToken)["cnf"], any(object{"x5t#S256": thumbprint})) {
		t.Errorf("exchange of a bound token = %+v", got)
	}
	key := must(dpop.GenerateKey())
	r := over(exchangeRequest("helper-1", bound), certificate)
	r.Header.Set("DPoP", must(key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: must(url.Parse(origin + "/token"))})))
	got := w.ask(r)
	if diff := cmp.Diff(any(object{"x5t#S256": thumbprint, "jkt": key.Thumbprint()}), claimsOf(got.AccessToken)["cnf"]); diff != "" || got.TokenType != "DPoP" {
		t.Errorf("token_type %s, cnf (-want +got):\n%s", got.TokenType, diff)
	}
	if e := w.events.last(); e.Principal.Binding != dpop.Binding+"+"+mtls.Binding {
		t.Errorf("binding in the event = %q", e.Principal.Binding)
	}
	plain := newWorld(t)
	if got := plain.ask(over(tokenRequest("helper-1"), certificate)); claimsOf(got.AccessToken)["cnf"] != nil {
		t.Errorf("cnf = %v without Certificates, want none", claimsOf(got.AccessToken)["cnf"])
	}
}

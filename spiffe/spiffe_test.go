// SPDX-License-Identifier: Apache-2.0

package spiffe_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/spiffe"
)

const audience = "spiffe://example.org/reports"

type object = map[string]any

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	key   = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	other = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
)

func encode(v any) string { return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v))) }

// signed returns a JWT-SVID with changes; nil removes a member.
func signed(private crypto.Signer, header, claims object) string {
	now := time.Now().Unix()
	h := object{"alg": "ES256", "kid": "k1", "typ": "JWT"}
	c := object{"sub": "spiffe://example.org/billing", "aud": []string{audience}, "exp": now + 300, "iat": now}
	for _, pair := range [][2]object{{h, header}, {c, claims}} {
		maps.Copy(pair[0], pair[1])
		maps.DeleteFunc(pair[0], func(_ string, v any) bool { return v == nil })
	}
	input := encode(h) + "." + encode(c)
	algorithm := "ES256"
	if _, ok := private.(ed25519.PrivateKey); ok {
		algorithm = "EdDSA"
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(must(jose.Sign(algorithm, private, input)))
}

// bundle returns a trust bundle with keys for a use.
func bundle(use string, all ...*ecdsa.PublicKey) string {
	keys := []any{object{"kty": "EC", "use": "x509-svid", "x5c": []string{"x"}}}
	for _, public := range all {
		point, encoding := must(public.Bytes()), base64.RawURLEncoding
		keys = append(keys, object{"kty": "EC", "crv": "P-256", "x": encoding.EncodeToString(point[1:33]), "y": encoding.EncodeToString(point[33:]), "kid": "k1", "use": use})
	}
	return string(must(json.Marshal(object{"spiffe_sequence": 1, "keys": keys})))
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	if name == "" {
		name = filepath.Join(t.TempDir(), "bundle.json")
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func newVerifier(t testing.TB, domains map[string]spiffe.Bundle) *spiffe.Verifier {
	t.Helper()
	v := must(spiffe.New(spiffe.Config{TrustDomains: domains, Audiences: []string{audience, "reports"}}))
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func reasonOf(err error) gatehouse.Reason {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestVerify(t *testing.T) {
	v := newVerifier(t, map[string]spiffe.Bundle{
		"example.org": spiffe.BundleFile(write(t, "", bundle("jwt-svid", &key.PublicKey))),
		"example.com": spiffe.BundleFile(write(t, "", bundle("jwt-svid", &other.PublicKey))),
		"example.net": spiffe.BundleFile(write(t, "", bundle("x509-svid", &key.PublicKey))),
		"example.edu": spiffe.BundleFile(write(t, "", bundle("sig", &key.PublicKey))),
	})
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	for name, test := range map[string]struct {
		token string
		want  gatehouse.Reason // "" if it is valid
	}{
		"good":                       {signed(key, nil, nil), ""},
		"no typ, no iat":             {signed(key, object{"typ": nil}, object{"iat": nil}), ""},
		"typ JOSE":                   {signed(key, object{"typ": "JOSE"}, nil), ""},
		"typ jose":                   {signed(key, object{"typ": "jose"}, nil), ""},
		"typ jwt":                    {signed(key, object{"typ": "jwt"}, nil), ""},
		"a member twice":             {signed(key, nil, object{"x": json.RawMessage(`{"a":1,"a":2}`)}), spiffe.ReasonMalformed},
		"aud as a string":            {signed(key, nil, object{"aud": "reports"}), ""},
		"another trust domain":       {signed(other, nil, object{"sub": "spiffe://example.com/billing/V2"}), ""},
		"key of another domain":      {signed(other, nil, nil), spiffe.ReasonSignature},
		"key for certificates":       {signed(key, nil, object{"sub": "spiffe://example.net/billing"}), spiffe.ReasonSignature},
		"unknown kid":                {signed(key, object{"kid": "k2"}, nil), spiffe.ReasonSignature},
		"signature of another token": {signed(key, nil, object{"x": 1})[:strings.LastIndexByte(signed(key, nil, object{"x": 1}), '.')] + signed(key, nil, nil)[strings.LastIndexByte(signed(key, nil, nil), '.'):], spiffe.ReasonSignature},
		"alg EdDSA":                  {signed(edwards, object{"alg": "EdDSA"}, nil), spiffe.ReasonMalformed},
		"alg none":                   {signed(key, object{"alg": "none"}, nil), spiffe.ReasonMalformed},
		"alg HS256":                  {signed(key, object{"alg": "HS256"}, nil), spiffe.ReasonMalformed},
		"access token":               {signed(key, object{"typ": "at+jwt"}, nil), spiffe.ReasonMalformed},
		"empty typ":                  {signed(key, object{"typ": ""}, nil), spiffe.ReasonMalformed},
		"no kid":                     {signed(key, object{"kid": nil}, nil), spiffe.ReasonMalformed},
		"jku":                        {signed(key, object{"jku": "https://evil.example/jwks"}, nil), spiffe.ReasonMalformed},
		"jwk":                        {signed(key, object{"jwk": object{"kty": "EC"}}, nil), spiffe.ReasonMalformed},
		"crit":                       {signed(key, object{"crit": []string{"x"}}, nil), spiffe.ReasonMalformed},
		"two segments":               {"a.b", spiffe.ReasonMalformed},
		"padding":                    {signed(key, nil, nil) + "=", spiffe.ReasonMalformed},
		"oversized":                  {signed(key, nil, object{"x": strings.Repeat("x", 9000)}), spiffe.ReasonMalformed},
		"exp a string":               {signed(key, nil, object{"exp": "1"}), spiffe.ReasonMalformed},
		"no sub":                     {signed(key, nil, object{"sub": nil}), spiffe.ReasonID},
		"sub of the trust domain":    {signed(key, nil, object{"sub": "spiffe://example.org"}), spiffe.ReasonID},
		"sub with a slash":           {signed(key, nil, object{"sub": "spiffe://example.org/"}), spiffe.ReasonID},
		"unknown trust domain":       {signed(key, nil, object{"sub": "spiffe://evil.example/billing"}), spiffe.ReasonID},
		"no aud":                     {signed(key, nil, object{"aud": nil}), spiffe.ReasonAudience},
		"empty aud":                  {signed(key, nil, object{"aud": []string{}}), spiffe.ReasonAudience},
		"another aud":                {signed(key, nil, object{"aud": "x"}), spiffe.ReasonAudience},
		"another aud alone":          {signed(key, nil, object{"aud": []string{"x"}}), spiffe.ReasonAudience},
		"several aud":                {signed(key, nil, object{"aud": []string{audience, "reports"}}), spiffe.ReasonAudience},
		"no exp":                     {signed(key, nil, object{"exp": nil}), spiffe.ReasonExpired},
		"key for signatures":         {signed(key, nil, object{"sub": "spiffe://example.edu/billing"}), spiffe.ReasonSignature},
	} {
		svid, err := v.Verify(t.Context(), test.token)
		if reasonOf(err) != test.want || (err == nil) != (svid.ID != spiffe.ID{}) {
			t.Errorf("%s: Verify = %v, %v (%v), want %q", name, svid.ID, err, errors.Unwrap(err), test.want)
		}
		var claims struct {
			Subject string `json:"sub"`
			Expires int64  `json:"exp"`
		}
		if err == nil && (svid.Claims.Decode(&claims) != nil || svid.ID.String() != claims.Subject || svid.Expires.Unix() != claims.Expires) {
			t.Errorf("%s: Verify = %s until %v, want sub and exp of %v", name, svid.ID, svid.Expires, svid.Claims)
		}
	}
	for n, want := 5000, error(nil); want == nil; n++ { // the longest token that is accepted
		token := signed(key, object{"typ": "JOSE"}, object{"x": strings.Repeat("x", n)}) // with another header none has 8 KiB
		if len(token) < 8<<10 {
			continue
		}
		if len(token) > 8<<10 {
			want = errors.New("too long")
		}
		if _, err := v.Verify(t.Context(), token); (err == nil) != (want == nil) {
			t.Errorf("Verify(token of %d bytes) error = %v, want %v", len(token), err, want)
		}
	}
	if _, err := v.Verify(t.Context(), signed(key, object{"alg": "none"}, nil)); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "alg is not") {
		t.Errorf("Verify(alg none) error = %v, want a cause that says so", errors.Unwrap(err))
	}
	// The other algorithms of the specification are known, but this is not a key for them.
	for _, name := range []string{"RS256", "RS384", "RS512", "ES384", "ES512", "PS256", "PS384", "PS512"} {
		if _, err := v.Verify(t.Context(), signed(key, object{"alg": name}, nil)); reasonOf(err) != spiffe.ReasonSignature {
			t.Errorf("Verify(%s) error = %v, want %s", name, err, spiffe.ReasonSignature)
		}
	}
}

// The clocks may differ by 30 s.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		audiences := []string{audience}
		v := must(spiffe.New(spiffe.Config{
			TrustDomains: map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(write(t, "", bundle("jwt-svid", &other.PublicKey, &key.PublicKey)))},
			Audiences:    audiences,
		}))
		audiences[0] = "x"
		for _, test := range []struct {
			claim string
			last  time.Duration // that is accepted
			step  time.Duration
		}{
			{"exp", -29 * time.Second, -time.Second},
			{"exp", 24*time.Hour + 30*time.Second, time.Second},
			{"nbf", 30 * time.Second, time.Second},
			{"iat", 30 * time.Second, time.Second},
		} {
			for ahead, want := range map[time.Duration]gatehouse.Reason{test.last: "", test.last + test.step: spiffe.ReasonExpired} {
				if _, err := v.Verify(t.Context(), signed(key, nil, object{test.claim: time.Now().Add(ahead).Unix()})); reasonOf(err) != want {
					t.Errorf("%s in %v: Verify error = %v, want %q", test.claim, ahead, err, want)
				}
			}
		}
		_ = v.Close()
		time.Sleep(time.Minute)
		if _, err := v.Verify(t.Context(), signed(other, nil, nil)); err != nil {
			t.Errorf("Verify after Close with keys that are known: error = %v", err)
		}
	})
	file := spiffe.BundleFile(write(t, "", bundle("jwt-svid", &key.PublicKey)))
	v := newVerifier(t, map[string]spiffe.Bundle{"example.org": file, "example.com": file})
	_ = v.Close()
	for _, sub := range []string{"spiffe://example.org/billing", "spiffe://example.com/billing"} {
		if _, err := v.Verify(t.Context(), signed(key, nil, object{"sub": sub})); reasonOf(err) != spiffe.ReasonBundleUnavailable {
			t.Errorf("Verify(%s) after Close: error = %v, want %s", sub, err, spiffe.ReasonBundleUnavailable)
		}
	}
}

func TestParseID(t *testing.T) {
	for text, path := range map[string]string{
		"spiffe://example.org": "", "spiffe://a-b_c.1/x/Y.Z-_1": "/x/Y.Z-_1", "spiffe://az09/az/AZ/09": "/az/AZ/09", "spiffe://example.org/...": "/...",
		"spiffe://" + strings.Repeat("a", 255) + "/x": "/x", "spiffe://example.org/" + strings.Repeat("a", 2027): "/" + strings.Repeat("a", 2027),
	} {
		id, err := spiffe.ParseID(text)
		domain := strings.TrimSuffix(strings.TrimPrefix(text, "spiffe://"), path)
		if err != nil || id.Path() != path || id.TrustDomain() != domain || id.String() != text {
			t.Errorf("ParseID(%q) = %v, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "spiffe:", "spiffe://", "spiffe:///x", "example.org/x", "spiffe://A/x", "spiffe://Z/x", "http://example.org/x", "SPIFFE://example.org/x", "spiffe://Example.org/x", "spiffe://example.org:80/x",
		"spiffe://user@example.org/x", "spiffe://example.org/x?y", "spiffe://example.org/x#", "spiffe://example.org/%61", "spiffe://example.org//x",
		"spiffe://example.org/x/", "spiffe://example.org/./x", "spiffe://example.org/../x", "spiffe://example.org/ä", "spiffe://example.org/a b",
		"spiffe://" + strings.Repeat("a", 256) + "/x", "spiffe://example.org/" + strings.Repeat("a", 2028),
	} {
		if id, err := spiffe.ParseID(text); err == nil || id != (spiffe.ID{}) {
			t.Errorf("ParseID(%.40q) = %v, %v, want an error", text, id, err)
		}
	}
	if (spiffe.ID{}).String() != "" {
		t.Error("the zero ID has a text")
	}
}

func TestCertificateID(t *testing.T) {
	const uri = "spiffe://example.org/billing"
	for name, test := range map[string]struct {
		usage x509.KeyUsage
		ca    bool
		uris  []string
		want  string // "" for an error
	}{
		"good":             {x509.KeyUsageDigitalSignature, false, []string{uri}, uri},
		"two URIs":         {x509.KeyUsageDigitalSignature, false, []string{uri, "https://example.org"}, ""},
		"ID after a URI":   {x509.KeyUsageDigitalSignature, false, []string{"https://example.org", uri}, ""},
		"ID after no text": {x509.KeyUsageDigitalSignature, false, []string{"", uri}, ""},
		"no URI":           {x509.KeyUsageDigitalSignature, false, nil, ""},
		"another URI":      {x509.KeyUsageDigitalSignature, false, []string{"https://example.org/x"}, ""},
		"no path":          {x509.KeyUsageDigitalSignature, false, []string{"spiffe://example.org"}, ""},
		"CA":               {x509.KeyUsageDigitalSignature, true, []string{uri}, ""},
		"certificate sign": {x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, false, []string{uri}, ""},
		"CRL sign":         {x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign, false, []string{uri}, ""},
		"no usage":         {0, false, []string{uri}, ""},
	} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), KeyUsage: test.usage, IsCA: test.ca, BasicConstraintsValid: true}
		for _, u := range test.uris {
			template.URIs = append(template.URIs, must(url.Parse(u)))
		}
		leaf := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))))
		if id, err := spiffe.CertificateID(leaf); id.String() != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: CertificateID = %v, %v, want %q", name, id, err, test.want)
		}
	}
}

// The keys follow the bundle; a damaged bundle leaves those of before, for a day.
func TestBundleFollowsItsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := write(t, "", "junk")
		v := newVerifier(t, map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(file)})
		check := func(when string, by *ecdsa.PrivateKey, want gatehouse.Reason) {
			t.Helper()
			if _, err := v.Verify(t.Context(), signed(by, nil, nil)); reasonOf(err) != want {
				t.Errorf("%s: Verify error = %v, want %q", when, err, want)
			}
		}
		check("damaged at start", key, spiffe.ReasonBundleUnavailable)
		write(t, file, bundle("jwt-svid", &key.PublicKey))
		time.Sleep(time.Second - 1)
		check("soon after", key, spiffe.ReasonBundleUnavailable)
		time.Sleep(time.Nanosecond)
		check("repaired", key, "")
		write(t, file, "junk")
		time.Sleep(11 * time.Second)
		check("damaged again", key, "")
		write(t, file, bundle("jwt-svid", &key.PublicKey, &other.PublicKey))
		time.Sleep(time.Second)
		check("a new key soon after", other, "")
		write(t, file, bundle("jwt-svid", &other.PublicKey))
		check("before it is read again", key, "")
		time.Sleep(11 * time.Second)
		check("removed key", key, spiffe.ReasonSignature)
		check("new key", other, "")
		write(t, file, `{"keys":[{"use":"jwt-svid","kid":"k1","kty":"EC"}]}`)
		time.Sleep(11 * time.Second)
		check("damaged", other, "")
		time.Sleep(24*time.Hour - 11*time.Second - 1)
		check("damaged for almost a day", other, "")
		time.Sleep(time.Nanosecond)
		check("damaged for a day", other, spiffe.ReasonBundleUnavailable)
	})
}

// roundTripper is the network of a bundle.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A bundle is fetched once in 5 minutes, within 8 s.
func TestBundleURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, hangs := 0, false
		v := newVerifier(t, map[string]spiffe.Bundle{"example.org": spiffe.BundleURL("https://example.org/bundle", roundTripper(func(r *http.Request) (*http.Response, error) {
			if calls++; hangs {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			w := httptest.NewRecorder()
			_, err := w.WriteString(bundle("jwt-svid", &key.PublicKey))
			return w.Result(), err
		}))})
		for n, wait := range []time.Duration{0, 0, 5*time.Minute - 1, 1} {
			time.Sleep(wait)
			if _, err := v.Verify(t.Context(), signed(key, nil, nil)); err != nil || calls != 1+n/3 {
				t.Errorf("call %d: Verify error = %v after %d requests, want none after %d", n, err, calls, 1+n/3)
			}
		}
		hangs = true
		time.Sleep(25 * time.Hour)
		start := time.Now()
		if _, err := v.Verify(t.Context(), signed(key, nil, nil)); reasonOf(err) != spiffe.ReasonBundleUnavailable || time.Since(start) != 8*time.Second {
			t.Errorf("Verify error = %v after %v, want %s after 8s", err, time.Since(start), spiffe.ReasonBundleUnavailable)
		}
	})
}

func TestMalformedBundles(t *testing.T) {
	valid := bundle("jwt-svid", &key.PublicKey)
	for name, content := range map[string]string{
		"largest": valid + strings.Repeat(" ", 1<<20-len(valid)), "most keys": strings.Replace(valid, "[", "["+strings.Repeat(`{"use":"x509-svid"},`, 254), 1),
	} {
		v := newVerifier(t, map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(write(t, "", content))})
		if _, err := v.Verify(t.Context(), signed(key, nil, nil)); err != nil {
			t.Errorf("%s: Verify error = %v (%v), want nil", name, err, errors.Unwrap(err))
		}
	}
	missing := newVerifier(t, map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(filepath.Join(t.TempDir(), "none"))})
	if _, err := missing.Verify(t.Context(), signed(key, nil, nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Verify without a bundle: error = %v, want one that wraps %v", err, os.ErrNotExist)
	}
	for _, content := range []string{
		"", "[]", "{}", `{"keys":{}}`, `{"keys":[1]}`, `{"keys":[],"keys":[]}`, `{"keys":[{"use":"jwt-svid"}]}`,
		strings.Replace(bundle("jwt-svid", &key.PublicKey), `"kid":"k1",`, "", 1),
		`{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"use":"x509-svid"},`, 257), ",") + `]}`,
		bundle("jwt-svid", &key.PublicKey) + strings.Repeat(" ", 1<<20),
	} {
		v := newVerifier(t, map[string]spiffe.Bundle{"example.org": spiffe.BundleFile(write(t, "", content))})
		if _, err := v.Verify(t.Context(), signed(key, nil, nil)); reasonOf(err) != spiffe.ReasonBundleUnavailable || err.(*gatehouse.Error).Issuer != "example.org" {
			t.Errorf("%.60s: Verify error = %v, want %s", content, err, spiffe.ReasonBundleUnavailable)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := spiffe.New(spiffe.Config{Audiences: []string{""}, TrustDomains: map[string]spiffe.Bundle{
		"Example.org": spiffe.BundleFile("x"), "a.example": {}, "b.example": spiffe.BundleURL("http://b.example/bundle", nil),
	}})
	for _, want := range []string{"Audiences: at least one", `TrustDomains: "Example.org" is not`, "TrustDomains: a.example: use", "TrustDomains: b.example: "} {
		if err == nil || !strings.Contains(err.Error(), "spiffe: Config."+want) {
			t.Errorf("New error lacks %q:\n%v", want, err)
		}
	}
	if _, err := spiffe.New(spiffe.Config{}); err == nil || !strings.Contains(err.Error(), "TrustDomains: at least one") || !strings.Contains(err.Error(), "Audiences: at least one") {
		t.Errorf("New without trust domains and audiences: error = %v", err)
	}
}

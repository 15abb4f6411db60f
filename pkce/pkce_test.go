// SPDX-License-Identifier: Apache-2.0

package pkce_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/pkce"
)

// RFC 7636, appendix B.
const (
	vectorVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	vectorChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var (
	verifierABNF  = regexp.MustCompile(`\A[A-Za-z0-9._~-]{43,128}\z`)
	challengeABNF = regexp.MustCompile(`\A[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\z`)
)

func mustVerifier(t *testing.T, text string) pkce.Verifier {
	t.Helper()
	v, err := pkce.ParseVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAppendixB(t *testing.T) {
	v := mustVerifier(t, vectorVerifier)
	if got := v.Challenge().String(); got != vectorChallenge {
		t.Errorf("challenge %s, want %s", got, vectorChallenge)
	}
	if got := v.Reveal(); got != vectorVerifier {
		t.Errorf("verifier %s, want %s", got, vectorVerifier)
	}
	c, err := pkce.ParseChallenge(vectorChallenge, "S256")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(v); err != nil {
		t.Error(err)
	}
}

func TestNewVerifier(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		v := pkce.NewVerifier()
		octets, err := base64.RawURLEncoding.DecodeString(v.Reveal())
		if err != nil || len(octets) != 32 {
			t.Fatalf("%d octets, %v; want 32", len(octets), err)
		}
		if seen[v.Reveal()] {
			t.Fatal("the same verifier twice")
		}
		seen[v.Reveal()] = true
		parsed := mustVerifier(t, v.Reveal())
		c, err := pkce.ParseChallenge(v.Challenge().String(), pkce.Method)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(parsed); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(pkce.NewVerifier()); !errors.Is(err, pkce.ErrMismatch) {
			t.Fatalf("another verifier: %v", err)
		}
	}
}

func TestParseVerifierLength(t *testing.T) {
	for length, ok := range map[int]bool{0: false, 1: false, 42: false, 43: true, 44: true, 127: true, 128: true, 129: false, 1 << 20: false} {
		_, err := pkce.ParseVerifier(strings.Repeat("a", length))
		if (err == nil) != ok {
			t.Errorf("%d characters: %v", length, err)
		}
		if !ok && !errors.Is(err, pkce.ErrVerifier) {
			t.Errorf("%d characters: %v", length, err)
		}
	}
}

// Every octet in every place that could be treated differently.
func TestParseVerifierAlphabet(t *testing.T) {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	for c := range 256 {
		for _, at := range []int{0, 20, 42} {
			text := []byte(strings.Repeat("a", 43))
			text[at] = byte(c)
			_, err := pkce.ParseVerifier(string(text))
			if want := strings.IndexByte(unreserved, byte(c)) >= 0; (err == nil) != want {
				t.Errorf("octet %#x at %d: %v", c, at, err)
			}
		}
	}
}

func TestParseChallenge(t *testing.T) {
	for _, test := range []struct {
		name, challenge, method string
		err                     error
	}{
		{"good", vectorChallenge, "S256", nil},
		{"no method, which means plain", vectorChallenge, "", pkce.ErrMethod},
		{"plain", vectorChallenge, "plain", pkce.ErrMethod},
		{"plain with its verifier", vectorVerifier, "plain", pkce.ErrMethod},
		{"method in small letters", vectorChallenge, "s256", pkce.ErrMethod},
		{"method with a space", vectorChallenge, "S256 ", pkce.ErrMethod},
		{"unknown method", vectorChallenge, "S512", pkce.ErrMethod},
		{"nothing at all", "", "", pkce.ErrMethod},
		{"no challenge", "", "S256", pkce.ErrChallenge},
		{"one character less", vectorChallenge[:42], "S256", pkce.ErrChallenge},
		{"one character more", vectorChallenge + "A", "S256", pkce.ErrChallenge},
		{"padded", vectorChallenge + "=", "S256", pkce.ErrChallenge},
		{"padding inside the length", vectorChallenge[:42] + "=", "S256", pkce.ErrChallenge},
		{"bits behind the last octet", vectorChallenge[:42] + "N", "S256", pkce.ErrChallenge},
		{"standard alphabet, plus", "+" + vectorChallenge[1:], "S256", pkce.ErrChallenge},
		{"standard alphabet, slash", "/" + vectorChallenge[1:], "S256", pkce.ErrChallenge},
		{"unreserved, but not base64url", "~" + vectorChallenge[1:], "S256", pkce.ErrChallenge},
		{"line feed inside", vectorChallenge[:41] + "\nA", "S256", pkce.ErrChallenge},
		{"line feed without which it would be good", vectorChallenge + "\n", "S256", pkce.ErrChallenge},
		{"line feed in place of whole octets", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "S256", pkce.ErrChallenge},
		{"carriage return at the end", vectorChallenge[:42] + "\r", "S256", pkce.ErrChallenge},
		{"five line feeds for four characters", vectorChallenge[:38] + "\n\n\n\n\n", "S256", pkce.ErrChallenge},
		{"hexadecimal", strings.Repeat("0123456789abcdef", 4), "S256", pkce.ErrChallenge},
		{"a megabyte", strings.Repeat("A", 1<<20), "S256", pkce.ErrChallenge},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := pkce.ParseChallenge(test.challenge, test.method)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil && c != (pkce.Challenge{}) {
				t.Error("a challenge beside an error")
			}
			if err == nil && c.String() != test.challenge {
				t.Errorf("read %q as %q", test.challenge, c)
			}
		})
	}
}

// With the method plain, the challenge is the verifier.
func TestPlainDoesNotVerify(t *testing.T) {
	// As it happens, this verifier is a well-formed challenge too.
	verifier := strings.Repeat("A", 43)
	c, err := pkce.ParseChallenge(verifier, pkce.Method)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(mustVerifier(t, verifier)); !errors.Is(err, pkce.ErrMismatch) {
		t.Errorf("error %v, want ErrMismatch", err)
	}
}

// What was never set satisfies nothing: RFC 9700 §4.8.2 has the server refuse a
// verifier where no challenge was sent.
func TestZeroValues(t *testing.T) {
	var v pkce.Verifier
	var c pkce.Challenge
	if v.Reveal() != "" || c.String() != "" || v.Challenge() != c {
		t.Errorf("verifier %q, challenge %q, challenge of the verifier %q", v.Reveal(), c, v.Challenge())
	}
	good := mustVerifier(t, vectorVerifier)
	for name, err := range map[string]error{
		"both zero":      c.Verify(v),
		"zero challenge": c.Verify(good),
		"zero verifier":  good.Challenge().Verify(v),
	} {
		if !errors.Is(err, pkce.ErrMismatch) {
			t.Errorf("%s: error %v, want ErrMismatch", name, err)
		}
	}
}

func TestVerifierIsRedacted(t *testing.T) {
	type transaction struct {
		State    string
		Verifier pkce.Verifier
		verifier pkce.Verifier
	}
	v := mustVerifier(t, vectorVerifier)
	whole := transaction{"s", v, v}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%10.3s", "%T"} {
		for _, value := range []any{v, &v, whole, &whole, []pkce.Verifier{v}, map[string]pkce.Verifier{"v": v}} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	encoded, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "v", v, "whole", whole)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "v", v, "whole", whole)
	texts = append(texts, string(encoded), log.String(), fmt.Sprint(v), v.String(), v.GoString())
	for _, text := range texts {
		for _, leak := range []string{vectorVerifier, fmt.Sprintf("%x", vectorVerifier), fmt.Sprintf("%X", vectorVerifier), vectorVerifier[:8]} {
			if strings.Contains(text, leak) {
				t.Errorf("leaks in %q", text)
			}
		}
	}
	if got := fmt.Sprint(v); got != "[redacted]" {
		t.Errorf("prints as %q", got)
	}
	if string(encoded) != `{"State":"s","Verifier":"[redacted]"}` {
		t.Errorf("encodes as %s", encoded)
	}
	if v.LogValue().String() != "[redacted]" || v.String() != "[redacted]" || v.GoString() != "[redacted]" {
		t.Error("not redacted by its methods")
	}
}

func TestErrorsCarryNothing(t *testing.T) {
	const bad = "secret%secret%secret%secret%secret%secret%secret"
	_, err1 := pkce.ParseVerifier(bad)
	_, err2 := pkce.ParseChallenge(bad, "S256")
	_, err3 := pkce.ParseChallenge(vectorChallenge, bad)
	for _, err := range []error{err1, err2, err3} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzParseVerifier(f *testing.F) {
	for _, seed := range []string{"", vectorVerifier, vectorVerifier[:42], vectorVerifier + "\n", strings.Repeat("~", 128), strings.Repeat("a", 129)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := pkce.ParseVerifier(text)
		if (err == nil) != verifierABNF.MatchString(text) {
			t.Fatalf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		if v.Reveal() != text {
			t.Fatalf("%q became %q", text, v.Reveal())
		}
		if err := v.Challenge().Verify(v); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseChallenge(f *testing.F) {
	for _, seed := range []string{"", vectorChallenge, vectorChallenge[:42] + "N", vectorChallenge[:41] + "\nA", vectorChallenge + "="} {
		f.Add(seed, "S256")
		f.Add(seed, "")
	}
	f.Add(vectorVerifier, "plain")
	f.Fuzz(func(t *testing.T, challenge, method string) {
		c, err := pkce.ParseChallenge(challenge, method)
		if (err == nil) != (method == "S256" && challengeABNF.MatchString(challenge)) {
			t.Fatalf("%q, %q: %v", challenge, method, err)
		}
		if err == nil && c.String() != challenge {
			t.Fatalf("%q became %q", challenge, c)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// TestPlantedFaults attacks handlers that are correct but for one fault. The time
// stands still meanwhile: the attempts are made once and must not expire.
func TestPlantedFaults(t *testing.T) {
	racetest.Skip(t)
	if os.Getenv("GATEHOUSE_SLOW") != "1" {
		t.Skip("slow test, set GATEHOUSE_SLOW=1 to run it")
	}
	t.Parallel()
	synctest.Test(t, testPlantedFaults)
}

func testPlantedFaults(t *testing.T) {
	issuer := NewIssuer(t, IssuerConfig{Algorithms: []string{"ES256"}})
	signer := issuer.signer("", "")
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		// A remote set would be asked for unknown keys, and answer 503 or 401 by the time since the last fetch.
		Keys: jwtauth.StaticKeys(jwtauth.Key{ID: signer.id, Algorithm: jwtauth.ES256, Public: signer.private.(crypto.Signer).Public()}),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tokens.Close() }()
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "test"})
	if err != nil {
		t.Fatal(err)
	}
	answers := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	reports := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "today")
		_, _ = io.WriteString(w, "the reports")
	})
	strict := gate.Handler(reports)

	// lax accepts those tokens that jwtauth rejects for which accept returns true.
	lax := func(next http.Handler, accept func(token string, why gatehouse.Reason) bool) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token, err := gatehouse.Authorization(r, "Bearer"); err == nil {
				_, err := tokens.Verify(r.Context(), token)
				if rejected, ok := errors.AsType[*gatehouse.Error](err); ok && accept(token, rejected.Reason) {
					next.ServeHTTP(w, r)
					return
				}
			}
			gate.Handler(next).ServeHTTP(w, r)
		})
	}
	without := func(reason gatehouse.Reason) func(string, gatehouse.Reason) bool {
		return func(token string, why gatehouse.Reason) bool {
			return why == reason && verifiesBy(signer, token)
		}
	}
	// signature accepts tokens with a signature for which valid returns true.
	signature := func(valid func(input string, signature []byte) bool) http.Handler {
		return lax(reports, func(token string, _ gatehouse.Reason) bool {
			parts := strings.Split(token, ".")
			decoded, err := base64.RawURLEncoding.DecodeString(parts[len(parts)-1])
			return len(parts) == 3 && err == nil && valid(parts[0]+"."+parts[1], decoded)
		})
	}
	several := func(choose func([]string) string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if all := r.Header["Authorization"]; len(all) > 1 {
				r.Header.Set("Authorization", choose(all))
			}
			strict.ServeHTTP(w, r)
		})
	}
	// refusing calls before and after in front of and behind each refusal.
	nothing := func(http.ResponseWriter, *http.Request) {}
	refusing := func(before, after func(http.ResponseWriter, *http.Request)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			strict.ServeHTTP(answer, r)
			refused := answer.Code != http.StatusOK
			maps.Copy(w.Header(), answer.Header())
			if refused {
				before(w, r)
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			if refused {
				after(w, r)
			}
		})
	}

	attempts := slices.Collect(Attacks(issuer))
	// each has a finding of the kind for each hostile attempt, or for each one that
	// gets a status with which no-store is required.
	each := func(kind Kind) []string {
		rows := make(map[string]int)
		for _, a := range attempts {
			answer, _ := a.send(strict)
			if !a.Valid() && (kind != WrongHeader || answer.Code == 400 || answer.Code == 401 || answer.Code == 403) {
				rows[string(kind)+": "+a.Row]++
			}
		}
		return numbered(rows)
	}
	noStore, refused := each(WrongHeader), each(Accepted)
	for _, test := range []struct {
		name    string
		handler http.Handler
		detail  string   // the end of that of each finding, "" for any
		want    []string // kinds, rows and numbers of the findings
	}{
		{"none", strict, "", nil},
		{"exp", lax(reports, without(jwtauth.ReasonExpired)), "status 200", []string{"accepted: exp 5"}},
		{"iss", lax(reports, without(jwtauth.ReasonIssuer)), "status 200", []string{"accepted: JSON of another type 1", "accepted: another issuer 1", "accepted: injection 1", "accepted: iss 22"}},
		{"aud", lax(reports, without(jwtauth.ReasonAudience)), "status 200", []string{"accepted: aud 14", "accepted: aud of several 1", "accepted: injection 1"}},
		{"nbf", lax(reports, without(jwtauth.ReasonNotYetValid)), "status 200", []string{"accepted: iat 3", "accepted: nbf 3"}},
		{"exp, 202", lax(answers(http.StatusAccepted, ""), without(jwtauth.ReasonExpired)), "status 202", []string{"accepted: exp 5"}},
		{"exp, 204", lax(answers(http.StatusNoContent, ""), without(jwtauth.ReasonExpired)), "status 204", []string{"accepted: exp 5"}},
		{"first of two headers", several(func(all []string) string { return all[0] }), "", []string{"accepted: several credentials 5", "wrong status: several credentials 2"}},
		{"last of two headers", several(func(all []string) string { return all[len(all)-1] }), "", []string{"accepted: several credentials 5", "wrong status: several credentials 2"}},
		{"HS256 by the PEM", signature(func(input string, signature []byte) bool {
			return bytes.Equal(signature, signAs("HS256", publicTexts(signer)[0].secret, input))
		}), "status 200", []string{"accepted: public key as a secret 1"}},
		{"r = s = 0", signature(func(_ string, signature []byte) bool { return bytes.Equal(signature, make([]byte, 64)) }), "status 200", []string{"accepted: ECDSA values 1", "accepted: signature altered 1"}},
		{"empty signature", signature(func(_ string, signature []byte) bool { return len(signature) == 0 }), "status 200", []string{"accepted: JSON serialization 1", "accepted: alg none 9", "accepted: segments 1"}},
		{"oracle in a header", refusing(func(w http.ResponseWriter, r *http.Request) {
			if parts := strings.Split(r.Header.Get("Authorization"), "."); len(parts) == 3 {
				if claims, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && bytes.Contains(claims, []byte(`"exp":2`)) {
					w.Header().Set("X-Expired", "yes")
				}
			}
		}, nothing), `another answer than for oracle: invalid signature: X-Expired "yes", not ""`, []string{"oracle: oracle 1"}},
		{"Cache-Control: private", refusing(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "private, no-storefront")
		}, nothing), "Cache-Control: no no-store", noStore},
		{"headers of the request", refusing(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"X-Request-Id", "Traceparent", "Date"} {
				w.Header().Set(name, rand.Text())
			}
		}, nothing), "", nil},
		{"handler runs, status", refusing(nothing, answers(http.StatusNoContent, "").ServeHTTP), "and the handler ran: it wrote status 204 after the refusal", refused},
		{"handler runs, body", refusing(nothing, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the reports") }), "and the handler ran: the refusal contains the body of an accepted request", refused},
		{"handler runs, header", refusing(nothing, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Last-Modified", "today") }), "and the handler ran: it set Last-Modified after the refusal", refused},
		{"handler runs, no answer", refusing(nothing, Witness(http.HandlerFunc(nothing)).ServeHTTP), "and the handler ran: the Witness was called", refused},
	} {
		accepted, rejected := control(test.handler, issuer)
		if rejected != "" {
			t.Errorf("%s: %s", test.name, rejected)
			continue
		}
		findings, _ := findAll(test.handler, issuer, slices.Values(attempts), accepted)
		rows := make(map[string]int)
		for _, f := range findings {
			row, _, _ := strings.Cut(f.Attempt, ": ")
			rows[string(f.Kind)+": "+row]++
			if !strings.HasSuffix(f.Detail, test.detail) {
				t.Errorf("%s: %s, want %s", test.name, f, test.detail)
			}
		}
		if diff := cmp.Diff(test.want, numbered(rows)); diff != "" {
			t.Errorf("%s: %d findings (-want +got):\n%s", test.name, len(findings), diff)
		}
	}
}

func numbered(rows map[string]int) (all []string) {
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, fmt.Sprint(row, " ", rows[row]))
	}
	return all
}

// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// leaks returns a part of a secret that is in a text, and finds one if 15
// characters of it are.
func leaks(text []byte, secret string) string {
	const window, step = 12, 4
	for i := 0; i+window <= len(secret); i += step {
		if bytes.Contains(text, []byte(secret[i:i+window])) {
			return secret[i : i+window]
		}
	}
	return ""
}

// No secret is in what anybody prints, logs, stores or answers: all that comes
// out of a whole life of keys is searched for all of them.
func TestNoSecretComesOut(t *testing.T) {
	var out bytes.Buffer
	say := func(values ...any) {
		for _, v := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			if text, err := json.Marshal(v); err == nil {
				out.Write(text)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("value", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("value", "v", v)
			if err, ok := v.(error); ok {
				for ; err != nil; err = errors.Unwrap(err) {
					fmt.Fprintf(&out, "%v %+v\n", err, err)
				}
			}
		}
	}
	pepperText := strings.Repeat("pepper that nobody may see, ", 2)
	store := newCounting()
	var keys *apikey.Keys
	config := apikey.Config{
		Store: store, Prefix: "acme", Scopes: []string{"reports:read"},
		Peppers:  []apikey.Pepper{{Version: 1, Secret: gatehouse.NewSecret([]byte(pepperText))}},
		CacheTTL: 5e9,
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { say(e); return nil }),
		Thresholds: apikey.Thresholds{
			NewNetworks: true, Burst: 2, BurstFloor: 1, UsesAfterRevocation: true, Failures: 1,
			Suspend: []gatehouse.EventType{apikey.EventNewNetwork},
		},
	}
	keys, err := apikey.New(config)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys}, Realm: "acme",
		Observer: gatehouse.Observers(
			gatehouse.Log(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { say(e, e.Cause, e.Principal); return nil }),
		),
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		say(p, r.Header)
	}))
	var secrets []string
	issued := func(i apikey.Issued, err error) (string, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		text := string(i.Secret.Reveal())
		say(i, i.Secret, &i)
		secrets = append(secrets, text[len(text)-49:])
		return i.Key.ID, text
	}
	n := 0
	use := func(text string) {
		for _, r := range carried(text) {
			n++
			r.RemoteAddr = fmt.Sprintf("192.0.%d.1:1", n%3)
			r.Header.Set("User-Agent", "test")
			for i, query := range []string{"", "k=" + url.QueryEscape(text), "a=1&k=" + strings.ReplaceAll(text, "_", "%5F"), ""} {
				q := r.Clone(t.Context())
				q.URL.RawQuery = query
				if i == 3 && strings.HasPrefix(text, "acme_") {
					q.URL.Path = "/keys/" + text
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, q)
				fmt.Fprintln(&out, w.Code, w.Result().Header, w.Body)
				_, err := keys.Authenticate(q)
				say(err)
			}
		}
	}
	for _, broken := range []error{nil, errors.New("connection refused")} {
		store.breakAll(nil)
		id, first := issued(keys.Create(t.Context(), order()))
		use(first)
		_, second := issued(keys.Rotate(t.Context(), id, day, 0))
		other, third := issued(keys.Create(t.Context(), order()))
		store.breakAll(broken)
		keys.Invalidate("")
		for _, text := range []string{first, second, third, withSecret(t, first, third), third[:len(third)-1], third + "0", strings.ToUpper(third)} {
			use(text)
			if text != third {
				_, err := keys.RevokeLeaked(t.Context(), text[1:])
				say(err)
				_, err = apikey.Parse(text[:len(text)-1])
				say(err)
			}
		}
		_, err := keys.Rotate(t.Context(), id, -1, 0)
		say(err)
		_, err = keys.Rotate(t.Context(), id, 0, 9)
		say(err)
		_, err = keys.Create(t.Context(), order())
		say(err)
		_, err = keys.Suspend(t.Context(), other)
		say(err)
		_, err = keys.Resume(t.Context(), other)
		say(err)
		_, err = keys.RevokeLeaked(t.Context(), second)
		say(err)
		_, err = keys.RevokeAll(t.Context(), apikey.Filter{Tenant: "t1"})
		say(err)
		_, err = keys.Revoke(t.Context(), other)
		say(err)
		page, err := keys.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}}, "")
		say(page, err)
		for _, text := range []string{first, second, third} {
			use(text)
		}
	}
	store.breakAll(nil)
	records, err := store.List(t.Context(), apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	say(records, keys, store.Memory, config.Peppers)

	for _, secret := range append(secrets, pepperText) {
		if part := leaks(out.Bytes(), secret); part != "" {
			i := bytes.Index(out.Bytes(), []byte(part))
			t.Fatalf("%s of a secret stands in: …%.200s", part, out.Bytes()[max(0, i-100):])
		}
		if part := leaks(out.Bytes(), fmt.Sprintf("%x", secret)); part != "" {
			i := bytes.Index(out.Bytes(), []byte(part))
			t.Fatalf("%s of a secret stands in hexadecimal in: …%.200s", part, out.Bytes()[max(0, i-100):])
		}
	}
	if out.Len() < 100_000 || len(secrets) < 6 {
		t.Errorf("%d bytes came out of %d secrets: there is nothing to search", out.Len(), len(secrets))
	}
}

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
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// leaks returns a part of a secret that a text contains, "" for none. It finds
// each part of 15 characters.
func leaks(text []byte, secret string) string {
	const window, step = 12, 4
	for i := 0; i+window <= len(secret); i += step {
		if bytes.Contains(text, []byte(secret[i:i+window])) {
			return secret[i : i+window]
		}
	}
	return ""
}

// TestNoSecretInOutput prints, logs and marshals all results, errors, events,
// records and responses of the methods of Keys, and searches the output for all
// secrets.
func TestNoSecretInOutput(t *testing.T) {
	var out bytes.Buffer
	show := func(values ...any) {
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
	observer := gatehouse.Observers(
		gatehouse.Log(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { show(e, e.Cause, e.Principal); return nil }),
	)
	pepperText := strings.Repeat("0 bytes of one pepper only 0, ", 2)
	peppers := []apikey.Pepper{{Version: 1, Secret: gatehouse.NewSecret([]byte(pepperText))}}
	f := newKeys(t, func(c *apikey.Config) {
		c.Peppers, c.CacheTTL, c.Observer = peppers, 5*time.Second, observer
		c.Thresholds = apikey.Thresholds{
			NewNetworks: true, Burst: 2, BurstFloor: 1, UsesAfterRevocation: true, Failures: 1,
			Suspend: []gatehouse.EventType{apikey.EventNewNetwork},
		}
	})
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{f.Keys}, Realm: "acme", Observer: observer}))(t)
	handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		show(p, r.Header)
	}))
	var secrets []string
	issued := func(i apikey.Issued, err error) (string, string) {
		t.Helper()
		text := string(must(i, err)(t).Secret.Reveal())
		show(i, i.Secret, &i)
		secrets = append(secrets, text[len(text)-49:])
		return i.Key.ID, text
	}
	n := 0
	use := func(text string) {
		for _, r := range inEachPlace(text) {
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
				_, err := f.Authenticate(q)
				show(err)
			}
		}
	}
	ctx := t.Context()
	for _, broken := range []error{nil, errors.New("connection refused")} {
		f.store.fail(nil)
		id, first := issued(f.Create(ctx, request()))
		use(first)
		_, second := issued(f.Rotate(ctx, id, day, 0))
		other, third := issued(f.Create(ctx, request()))
		f.store.fail(broken)
		f.Invalidate("")
		for _, text := range []string{first, second, third, withSecret(first, third), third[:len(third)-1], third + "0", strings.ToUpper(third)} {
			use(text)
			if text != third {
				_, err1 := f.RevokeLeaked(ctx, text[1:])
				_, err2 := apikey.Parse(text[:len(text)-1])
				show(err1, err2)
			}
		}
		show(f.Rotate(ctx, id, -1, 0))
		show(f.Rotate(ctx, id, 0, 9))
		for _, c := range f.calls(ctx, other, second) {
			result, err := c.call()
			if i, ok := result.(apikey.Issued); ok && err == nil {
				issued(i, err)
			}
			show(result, err)
		}
		for _, text := range []string{first, second, third} {
			use(text)
		}
	}
	f.store.fail(nil)
	show(must(f.store.List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}, Limit: 100}))(t), f.Keys, f.store.Memory, peppers)

	for _, secret := range append(secrets, pepperText) {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if part := leaks(out.Bytes(), form); part != "" {
				i := bytes.Index(out.Bytes(), []byte(part))
				t.Fatalf("the output contains %s of a secret: …%.200s", part, out.Bytes()[max(0, i-100):])
			}
		}
	}
	if out.Len() < 100_000 || len(secrets) < 6 {
		t.Errorf("%d bytes of output for %d secrets, want at least 100,000 for 6", out.Len(), len(secrets))
	}
}

// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/model"
)

const body = ` {"model":"fast","messages":[{"role":"user","content":"h\u00e9llo"}],"seed":1.0E+2}` + "\n"

// upstream answers with what it gets.
func upstream(w http.ResponseWriter, r *http.Request) {
	call, ok := model.FromContext(r.Context())
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
	}
	text, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %d %v %q", call.Model.Name, r.ContentLength, err, text)
}

func serve(t testing.TB, source model.Source, p gatehouse.Principal) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	guarded := catalogue(t).Require(source)(http.HandlerFunc(upstream))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guarded.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), p)))
	})
	mux.Handle("POST /{$}", handler)
	mux.Handle("POST /models/{model}", handler)
	return mux
}

func TestRequire(t *testing.T) {
	gz := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return b.String()
	}
	ok := func(name, body string) string { return fmt.Sprintf("200 %s %d <nil> %q", name, len(body), body) }
	small := `{"model":"small-1","messages":[]}`
	inBody := model.Source{Body: chat}
	everywhere := model.Source{Body: chat, Path: "model", Header: "X-Model"}
	for _, test := range []struct {
		name   string
		source model.Source
		path   string
		header http.Header
		body   string
		want   string
	}{
		{"body", inBody, "/", nil, body, ok("small-1", body)},
		{"content type", inBody, "/", http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, body, ok("small-1", body)},
		{"content type without a charset", inBody, "/", http.Header{"Content-Type": {"application/json"}}, body, ok("small-1", body)},
		{"chunked", inBody, "/", nil, body, ok("small-1", body)},
		{"identity", inBody, "/", http.Header{"Content-Encoding": {"identity"}}, body, ok("small-1", body)},
		{"identity in another case", inBody, "/", http.Header{"Content-Encoding": {"Identity"}}, body, ok("small-1", body)},
		{"path and header are not asked", inBody, "/models/large-1", http.Header{"X-Model": {"large-1"}}, small, ok("small-1", small)},
		{"path", model.Source{Path: "model"}, "/models/small-1", nil, "\x00", `200 small-1 1 <nil> "\x00"`},
		{"escaped path", model.Source{Path: "model"}, "/models/sm%61ll-1", nil, "", `200 small-1 0 <nil> ""`},
		{"header", model.Source{Header: "x-model"}, "/", http.Header{"X-Model": {"fast"}}, "", `200 small-1 0 <nil> ""`},
		{"three that agree", everywhere, "/models/small-1", http.Header{"X-Model": {"small-1"}}, small, ok("small-1", small)},
		{"path alone", everywhere, "/models/small-1", nil, `{"messages":[]}`, ok("small-1", `{"messages":[]}`)},

		{"path disagrees", everywhere, "/models/large-1", nil, small, "400 invalid_request"},
		{"path disagrees by an alias", everywhere, "/models/fast", nil, small, "400 invalid_request"},
		{"header disagrees", everywhere, "/", http.Header{"X-Model": {"small-2"}}, small, "400 invalid_request"},
		{"header in another case", everywhere, "/", http.Header{"X-Model": {"SMALL-1"}}, small, "400 invalid_request"},
		{"header with more", everywhere, "/", http.Header{"X-Model": {"small-12"}}, small, "400 invalid_request"},
		{"header with less", everywhere, "/", http.Header{"X-Model": {"small"}}, small, "400 invalid_request"},
		{"headers disagree", model.Source{Header: "X-Model"}, "/", http.Header{"X-Model": {"small-1", "small-2"}}, "", "400 invalid_request"},
		{"header without text beside a name", model.Source{Header: "X-Model"}, "/", http.Header{"X-Model": {"small-1", ""}}, "", "400 invalid_request"},
		{"no name", everywhere, "/", nil, `{"messages":[]}`, "400 invalid_request"},
		{"empty name", inBody, "/", nil, `{"model":"","messages":[]}`, "400 invalid_request"},
		{"null", inBody, "/", nil, `{"model":null,"messages":[]}`, "400 invalid_request"},
		{"unknown model", inBody, "/", nil, `{"model":"small-3","messages":[]}`, "400 invalid_request"},
		{"tier", inBody, "/", nil, `{"model":"large-1","messages":[]}`, "403 insufficient_scope"},
		{"image", inBody, "/", nil, `{"model":"small-1","messages":[{"content":[{"type":"image_url"}]}]}`, "403 access_denied"},
		{"compressed", inBody, "/", http.Header{"Content-Encoding": {"gzip"}}, gz(small), "400 invalid_request"},
		{"compressed twice", inBody, "/", http.Header{"Content-Encoding": {"identity", "br"}}, small, "400 invalid_request"},
		{"compressed in secret", inBody, "/", nil, gz(small), "400 invalid_request"},
		{"said to be compressed", inBody, "/", http.Header{"Content-Encoding": {"GZIP"}}, small, "400 invalid_request"},
		{"form", inBody, "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, small, "400 invalid_request"},
		{"multipart", inBody, "/", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "--x\r\nContent-Disposition: form-data; name=model\r\n\r\nsmall-1\r\n--x--", "400 invalid_request"},
		{"multipart with JSON", inBody, "/", http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, small, "400 invalid_request"},
		{"two content types", inBody, "/", http.Header{"Content-Type": {"application/json", "multipart/form-data; boundary=x"}}, small, "400 invalid_request"},
		{"other charset", inBody, "/", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, small, "400 invalid_request"},
		{"malformed content type", inBody, "/", http.Header{"Content-Type": {"application/json;;"}}, small, "400 invalid_request"},
		{"no body", inBody, "/", nil, "", "400 invalid_request"},
		{"largest", model.Source{Body: chat, MaxBytes: int64(len(small))}, "/", nil, small, ok("small-1", small)},
		{"too large", model.Source{Body: chat, MaxBytes: int64(len(small)) - 1}, "/", nil, small, "413 invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, test.path, strings.NewReader(test.body))
			if test.header != nil {
				r.Header = test.header
			}
			if test.name == "chunked" {
				r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			}
			w := httptest.NewRecorder()
			serve(t, test.source, caller("globex", "model:standard")).ServeHTTP(w, r)
			if got := answer(w.Code, w.Body.Bytes()); got != test.want {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
			if w.Code != http.StatusOK && w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", w.Header().Get("Cache-Control"))
			}
			if test.name == "too large" && w.Header().Get("Connection") != "close" {
				t.Errorf("Connection = %q, want close", w.Header().Get("Connection"))
			}
		})
	}
}

// answer returns the status with the body, or with the error code.
func answer(status int, body []byte) string {
	var refusal struct{ Error string }
	if json.Unmarshal(body, &refusal) == nil && refusal.Error != "" {
		return fmt.Sprint(status, " ", refusal.Error)
	}
	return fmt.Sprintf("%d %s", status, body)
}

// endless is a body of a length that it does not say. It counts what was read.
type endless struct {
	left int64
	read atomic.Int64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), e.left))
	copy(b, bytes.Repeat([]byte("a"), n))
	e.left -= int64(n)
	e.read.Add(int64(n))
	return n, nil
}

func TestHugeBodyIsNotRead(t *testing.T) {
	server := httptest.NewServer(serve(t, model.Source{Body: chat}, caller("acme", "model:standard")))
	defer server.Close()
	const size = 100 << 20
	for name, length := range map[string]int64{"length": size, "chunked": -1} {
		huge := &endless{left: size}
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, huge))
		r.ContentLength = length
		// The server may close the connection before the client has read the answer.
		response, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			if response.StatusCode != http.StatusRequestEntityTooLarge || !response.Close {
				t.Errorf("%s: status %d, connection closed %t, want 413 and true", name, response.StatusCode, response.Close)
			}
			_ = response.Body.Close()
		}
		if read := huge.read.Load(); read > 16<<20 {
			t.Errorf("%s: %d bytes were read, want at most the buffers of the connection", name, read)
		}
	}
}

// A body that ends early is refused, and so is every request outside of a gate.
func TestRequireFailsClosed(t *testing.T) {
	handler := serve(t, model.Source{Body: chat}, caller("acme", "model:standard"))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.MultiReader(strings.NewReader(body), failing{}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if got := answer(w.Code, w.Body.Bytes()); got != "400 invalid_request" {
		t.Errorf("cut body: %s, want 400 invalid_request", got)
	}
	guarded := catalogue(t).Require(model.Source{Body: chat})(http.HandlerFunc(upstream))
	w = httptest.NewRecorder()
	guarded.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
	if got := answer(w.Code, w.Body.Bytes()); got != "401 missing_credentials" {
		t.Errorf("outside of a gate: %s, want 401 missing_credentials", got)
	}
	if call, ok := model.FromContext(t.Context()); call != nil || ok {
		t.Errorf("FromContext without a call = %v, %v, want nil, false", call, ok)
	}
}

// The cause of a refusal, which only events have, names the values.
func TestRefusalsNameTheValues(t *testing.T) {
	for _, test := range []struct {
		source model.Source
		want   string
	}{
		{model.Source{Body: chat, Header: "X-Model"}, `model: the request names "fast" and "small-1"`},
		{model.Source{Body: chat, MaxBytes: 9}, fmt.Sprintf("model: the body has %d bytes, the limit is 9", len(body))},
	} {
		var causes []error
		observer := gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			causes = append(causes, e.Cause)
			return nil
		})
		gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{everyone{}}, Realm: "models", Observer: observer}))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Model", "small-1")
		gate.Handler(catalogue(t).Require(test.source)(http.HandlerFunc(upstream))).ServeHTTP(httptest.NewRecorder(), r)
		if last := causes[len(causes)-1]; last == nil || last.Error() != test.want {
			t.Errorf("cause of the event = %v, want %s", last, test.want)
		}
	}
}

// everyone accepts every request.
type everyone struct{}

func (everyone) Reads() gatehouse.Reads { return gatehouse.Reads{Connection: true} }

func (everyone) Authenticate(*http.Request) (gatehouse.Proof, error) {
	p := caller("acme", "model:standard")
	return gatehouse.NewProof(&p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRequirePanics(t *testing.T) {
	for name, call := range map[string]func(){
		"no source":     func() { catalogue(t).Require(model.Source{}) },
		"unknown shape": func() { catalogue(t).Require(model.Source{Body: "x"}) },
		"header":        func() { catalogue(t).Require(model.Source{Header: "a b"}) },
		"negative size": func() { catalogue(t).Require(model.Source{Body: chat, MaxBytes: -1}) },
		"nil handler":   func() { catalogue(t).Require(model.Source{Body: chat})(nil) },
		"Parse":         func() { _, _ = model.Parse("x", nil) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || name == "header" && !strings.Contains(fmt.Sprint(v), `"a b"`) {
					t.Errorf("%s: panic with %v, want one that names the value", name, v)
				}
			}()
			call()
		}()
	}
}

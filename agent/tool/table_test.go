// SPDX-License-Identifier: Apache-2.0

package tool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

func TestNewReportsAllErrors(t *testing.T) {
	good := tool.Class{Proof: tool.Proof{Kind: tool.APIKey}, Scopes: scopes("a"), AllowUnrecorded: true}
	_, err := tool.New(tool.Config{
		Observer: (*events)(nil),
		Classes: map[string]tool.Class{
			"":         good,
			"kind":     {Scopes: scopes("a"), AllowUnrecorded: true},
			"unknown":  {Proof: tool.Proof{Kind: "none"}, Scopes: scopes("a"), AllowUnrecorded: true},
			"scopes":   {Proof: tool.Proof{Kind: tool.APIKey}, AllowUnrecorded: true},
			"bound":    {Proof: tool.Proof{Kind: tool.APIKey, Binding: "mtls"}, Scopes: scopes("a"), AllowUnrecorded: true},
			"attested": {Proof: tool.Proof{Kind: tool.APIKey, Attested: true}, Scopes: scopes("a"), AllowUnrecorded: true},
			"rule":     {Proof: good.Proof, Scopes: good.Scopes, AllowUnrecorded: true, Approval: approval.Rule{Count: 2}},
			"approval": {Proof: good.Proof, Scopes: good.Scopes, AllowUnrecorded: true, Approval: approval.Rule{Consent: true}},
			"good":     good,
		},
		Tools: []tool.Tool{
			{Class: "good", Arguments: tool.Args[struct{}]()},
			{Name: "a", Class: "absent", Arguments: tool.Args[struct{}]()},
			{Name: "b", Class: "good"},
			{Name: "c", Class: "good", Arguments: tool.Args[struct{}]()},
			{Name: "c", Class: "good", Arguments: tool.Args[struct{}]()},
			{Name: "d", Class: "good", Arguments: tool.Args[map[string]any]()},
			{Name: "e", Class: "good", Version: "1\n", Arguments: tool.Args[struct{}]()},
		},
	})
	lacks := func(parts ...string) {
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("New error lacks %q:\n%v", part, err)
			}
		}
	}
	lacks("Config.Facts: required", "Config.Observer: is a nil", `Classes: ""`, `Classes["kind"]: Proof.Kind: ""`, `Classes["unknown"]: Proof.Kind: "none"`,
		`Classes["scopes"]: Scopes`, `Classes["bound"]: Proof.Kind: api_key`, `Classes["attested"]: Proof.Kind: api_key`, `Classes["rule"]: approval: Rule.Roles`, `Classes["approval"]: Approval: needs`,
		"Tools[0]: Name", `Tools[1].Class: "absent"`, "Tools[2].Arguments: required", `Tools[4].Name: "c": duplicate`, "Tools[5].Arguments: map", "Tools[6]: Name and Version")
	_, err = tool.New(tool.Config{Classes: map[string]tool.Class{"c": {Proof: good.Proof, Scopes: good.Scopes}}})
	lacks("Tools: required", `Classes["c"]: AllowUnrecorded: required without Config.Observer`)
}

// TestStrongerProofSatisfiesWeakerClass tries each kind of credential with each class.
func TestStrongerProofSatisfiesWeakerClass(t *testing.T) {
	want := map[tool.Kind]string{
		tool.APIKey:    "api_key",
		tool.UserToken: "api_key user_token",
		tool.OwnToken:  "api_key user_token own_token",
		tool.Delegated: "api_key user_token delegated",
		"":             "",
		"admin":        "",
	}
	kinds := []tool.Kind{tool.APIKey, tool.UserToken, tool.OwnToken, tool.Delegated}
	config := tool.Config{Classes: make(map[string]tool.Class)}
	for _, kind := range kinds {
		class := read()
		class.Proof.Kind = kind
		config.Classes[string(kind)] = class
		config.Tools = append(config.Tools, tool.Tool{Name: string(kind), Class: string(kind), Arguments: tool.Args[struct{}]()})
	}
	for has, want := range want {
		config.Facts = factsAre(tool.Facts{Kind: has})
		table := must(tool.New(config))
		var allowed []string
		for _, kind := range kinds {
			if _, err := table.Authorize(t.Context(), key(), string(kind), nil); err == nil {
				allowed = append(allowed, string(kind))
			}
		}
		if got := strings.Join(allowed, " "); got != want {
			t.Errorf("%q satisfies the classes %q, want %q", has, got, want)
		}
	}
}

// TestNothingUnlistedIsAllowed makes random tables and asks for random calls. What is
// allowed is in the table, and has all that the class asks for.
func TestNothingUnlistedIsAllowed(t *testing.T) {
	names := []string{"read", "Read", "read ", "write", "exec", "", "a/b", "delete_all", "é"}
	kinds := []tool.Kind{tool.APIKey, tool.UserToken, tool.OwnToken, tool.Delegated}
	scopeNames := []string{"a", "b", "c"}
	bindings := []gatehouse.Binding{"", "mtls", "dpop", "dpop+mtls"}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) (s gatehouse.Scopes) {
		var some []string
		for _, name := range from {
			if random.IntN(2) == 0 {
				some = append(some, name)
			}
		}
		return scopes(some...)
	}
	allowed, refused := 0, 0
	for range 400 {
		var facts tool.Facts
		config := tool.Config{
			Classes: make(map[string]tool.Class), Observer: new(events), Approvals: newKit().approvals,
			Facts: func(context.Context, gatehouse.Principal) (tool.Facts, error) { return facts, nil },
		}
		for i := range 3 {
			class := tool.Class{Proof: tool.Proof{Kind: kinds[random.IntN(4)]}, Scopes: pick(scopeNames)}
			if class.Scopes.Len() == 0 {
				class.Scopes = scopes("a")
			}
			if class.Proof.Kind != tool.APIKey {
				class.Proof.Binding, class.Proof.Attested = bindings[random.IntN(3)], random.IntN(3) == 0
			}
			if random.IntN(3) == 0 {
				class.Approval = approval.Rule{Consent: true}
			}
			config.Classes[fmt.Sprint(i)] = class
		}
		listed := make(map[string]tool.Class)
		for _, name := range names {
			if name != "" && random.IntN(2) == 0 {
				class := fmt.Sprint(random.IntN(3))
				listed[name] = config.Classes[class]
				config.Tools = append(config.Tools, tool.Tool{Name: name, Class: class, Arguments: tool.Args[struct{}]()})
			}
		}
		if len(listed) == 0 {
			continue
		}
		table := must(tool.New(config))
		for range 20 {
			facts = tool.Facts{Kind: append(kinds, "", "any")[random.IntN(6)], Attested: random.IntN(2) == 0}
			p := gatehouse.Principal{Issuer: server, Subject: "x", Tenant: "acme", Method: "jwt", Scopes: pick(scopeNames), Binding: bindings[random.IntN(4)]}
			name := names[random.IntN(len(names))]
			_, err := table.Authorize(t.Context(), p, name, nil)
			visible, _ := table.Visible(t.Context(), p, name)
			class, ok := listed[name]
			if err != nil {
				refused++
				if ok && p.Scopes.HasAll(class.Scopes) && facts.Kind == class.Proof.Kind && facts.Attested && p.Binding == "dpop+mtls" && class.Approval == (approval.Rule{}) {
					t.Fatalf("Authorize(%q) of %+v with %+v in the class %+v error = %v, want nil", name, p, facts, class, err)
				}
				continue
			}
			allowed++
			switch {
			case !ok:
				t.Fatalf("the unlisted tool %q is allowed", name)
			case !p.Scopes.HasAll(class.Scopes), class.Proof.Attested && !facts.Attested, !strings.Contains(string(p.Binding), string(class.Proof.Binding)),
				class.Approval != (approval.Rule{}), !visible:
				t.Fatalf("%q of the class %+v is allowed to %+v with %+v, visible: %v", name, class, p, facts, visible)
			}
		}
	}
	if allowed < 200 || refused < 1000 {
		t.Errorf("%d calls were allowed and %d refused, which says little", allowed, refused)
	}
}

// positive is a number that reports an error for others, although it keeps them.
type positive int

func (p *positive) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*int)(p)); err != nil || *p <= 0 {
		return errors.New("not positive")
	}
	return nil
}

func TestArgs(t *testing.T) {
	type inner struct {
		N *int `json:"n"`
	}
	type arguments struct {
		Text string            `json:"text"`
		List []inner           `json:"list,omitempty"`
		Map  map[string]string `json:"map,omitzero"`
		Z    positive          `json:"z,omitzero"`
	}
	table := must(tool.New(tool.Config{
		Classes: map[string]tool.Class{"c": read()}, Tools: []tool.Tool{{Name: "t", Class: "c", Arguments: tool.Args[arguments]()}}, Facts: factsAre(tool.Facts{Kind: tool.APIKey}),
	}))
	for text, want := range map[string]bool{
		`{"text":""}`: true, `{"text":"<&>\u2028"}`: true, `{"text":"a","list":[{"n":1},{"n":null}]}`: true, `{"text":"a","map":{"B":"c","a":"d"}}`: true,
		`{"text":"a","z":1}`: true, `{"text":"a","z":-1}`: false,
		`{}`: false, `{"text":"a","list":[]}`: false, `{"text":"a","list":null}`: false, `{"text":"a","list":[{}]}`: false, `{"text":"a","list":[{"n":1,"m":2}]}`: false,
		`{"text":"a","list":[{"N":1}]}`: false, `{"text":"a","map":{"a":1}}`: false, `{"text":"a","map":null}`: false,
	} {
		call, err := table.Authorize(t.Context(), key(), "t", []byte(text))
		if (err == nil) != want {
			t.Errorf("Authorize(%s) error = %v, want nil: %v", text, err, want)
		}
		if err == nil {
			if _, ok := call.Arguments.(*arguments); !ok {
				t.Errorf("Arguments = %T, want %T", call.Arguments, new(arguments))
			}
		}
	}
}

func TestHandler(t *testing.T) {
	k := newKit()
	ran := 0
	handler := func(name string) http.Handler {
		return k.Handler(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ran++
			call, ok := tool.FromContext(r.Context())
			body, err := io.ReadAll(r.Body)
			if !ok || err != nil || string(body) != call.Canonical || r.ContentLength != int64(len(body)) || r.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
				t.Errorf("%s: the body is %q, %v and the call %+v, want the canonical arguments", name, body, err, call)
			}
		}))
	}
	send := func(name string, caller gatehouse.Principal, change func(r *http.Request), body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", bytes.NewReader([]byte(body)))
		r.Header.Set("Content-Type", "application/json")
		if !caller.IsZero() {
			r = r.WithContext(gatehouse.NewContext(r.Context(), caller))
		}
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		handler(name).ServeHTTP(w, r)
		if got := r.Header.Get("Content-Length"); got != "" {
			t.Errorf("%s: Handler has changed the header of the request: Content-Length = %s", name, got)
		}
		return w
	}
	for _, test := range []struct {
		name   string
		tool   string
		caller gatehouse.Principal
		change func(r *http.Request)
		body   string
		want   int
		header string
	}{
		{"allowed", "read_public", key(), nil, ` {"topic":"\u0068ello"}`, 200, ""},
		{"outside a gate", "read_public", gatehouse.Principal{}, nil, readArguments, 401, ""},
		{"scope", "read_public", with(key(), func(p *gatehouse.Principal) { p.Scopes = gatehouse.Scopes{} }), nil, readArguments, 403, `scope="data:read"`},
		{"proof", "update_profile", key(), nil, profileArguments, 403, ""},
		{"binding", "call_partner", with(own(), func(p *gatehouse.Principal) { p.Binding = "" }), nil, partnerArguments, 401, `error="invalid_token"`},
		{"approval", "run_code", own(), nil, codeArguments, 403, `url="https://tools.example.com/approvals/apr_`},
		{"arguments", "read_public", key(), nil, `{"topic":"hello","topic":"x"}`, 400, ""},
		{"as long as allowed", "read_public", key(), nil, `{"topic":"` + strings.Repeat("x", maxArguments-12) + `"}`, 200, ""},
		{"too long", "read_public", key(), nil, readArguments + strings.Repeat(" ", maxArguments+1-len(readArguments)), 400, ""},
		{"method", "read_public", key(), func(r *http.Request) { r.Method = "GET" }, readArguments, 400, ""},
		{"malformed type", "read_public", key(), func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset") }, readArguments, 400, ""},
		{"type", "read_public", key(), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, readArguments, 400, ""},
	} {
		before := ran
		w := send(test.tool, test.caller, test.change, test.body)
		if w.Code != test.want || (ran > before) != (test.want == 200) {
			t.Errorf("%s: status = %d and the tool ran: %v, want %d", test.name, w.Code, ran > before, test.want)
		}
		if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, test.header) {
			t.Errorf("%s: challenge = %q, want %q in it", test.name, got, test.header)
		}
	}
	if call, ok := tool.FromContext(t.Context()); ok || call != nil {
		t.Errorf("FromContext outside a handler = %v, %v, want none", call, ok)
	}
	table := must(tool.New(tool.Config{
		Classes: map[string]tool.Class{"c": read()}, Tools: []tool.Tool{{Name: "t", Class: "c", Arguments: tool.Args[struct{}]()}}, Facts: factsAre(tool.Facts{Kind: tool.APIKey}),
	}))
	w := httptest.NewRecorder()
	table.Handler("t", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a GET runs a tool without arguments") })).
		ServeHTTP(w, httptest.NewRequestWithContext(gatehouse.NewContext(t.Context(), key()), http.MethodGet, "/", nil))
	if w.Code != http.StatusBadRequest {
		t.Errorf("GET of a tool without arguments = %d, want 400", w.Code)
	}
	for name, f := range map[string]func(){
		"unlisted": func() { k.Handler("delete_all", http.NotFoundHandler()) }, "nil": func() { k.Handler("read_public", nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Handler does not panic", name)
				}
			}()
			f()
		}()
	}
}

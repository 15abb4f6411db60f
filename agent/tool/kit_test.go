// SPDX-License-Identifier: Apache-2.0

package tool_test

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/mtls"
)

const (
	people = "https://id.example.com"
	server = "https://tools.example.com"
)

// The arguments of the four tools of the specification.
type (
	readPublic struct {
		Topic string `json:"topic"`
	}
	updateProfile struct {
		DisplayName string `json:"display_name"`
	}
	callPartner struct {
		URL    string `json:"url"`
		Amount int64  `json:"amount"`
	}
	runCode struct {
		Language string `json:"language"`
		Source   string `json:"source"`
	}
)

// events is an observer that keeps events, and fails while fail is set.
type events struct {
	all  []gatehouse.Event
	fail error
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.all = append(e.all, event)
	return e.fail
}

// last returns the last event of a type, and an attribute of it.
func (e *events) last(of gatehouse.EventType, attr string) (last gatehouse.Event, value string) {
	for _, event := range e.all {
		if event.Type != of {
			continue
		}
		last, value = event, ""
		for _, a := range event.Attrs {
			if a.Key == attr {
				value = a.Value.String()
			}
		}
	}
	return last, value
}

var errDisk = errors.New("disk full")

// store is a memory store whose claims are counted, and fail while fail is set. Its requests
// fail while full is set.
type store struct {
	*approval.Memory
	claims     int
	fail, full error
}

func (s *store) Request(ctx context.Context, a approval.Approval, limits approval.Limits, again bool) (approval.Approval, bool, error) {
	if s.full != nil {
		return approval.Approval{}, false, s.full
	}
	return s.Memory.Request(ctx, a, limits, again)
}

func (s *store) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	if err := cmp.Or(s.fail, ctx.Err()); err != nil {
		return approval.Approval{}, err
	}
	s.claims++
	return s.Memory.Claim(ctx, tenant, digest)
}

// maxArguments limits the arguments of the tools, in bytes.
const maxArguments = 1000

// kit is the table of the specification.
type kit struct {
	*tool.Table
	store     *store
	check     func() // after the check of the arguments of call_partner
	approvals *approval.Approvals
	seen      *events
	facts     func(p gatehouse.Principal) (tool.Facts, error)
}

func newKit() *kit {
	k := &kit{seen: new(events), facts: factsOf, store: &store{Memory: approval.NewMemory(0)}, check: func() {}}
	k.approvals = must(approval.New(approval.Config{Store: k.store, URL: server + "/approvals", MaxArguments: maxArguments, Observer: k.seen}))
	k.Table = must(tool.New(k.config()))
	return k
}

func (k *kit) config() tool.Config {
	return tool.Config{
		Classes: map[string]tool.Class{
			"read":     read(),
			"modify":   {Proof: tool.Proof{Kind: tool.Delegated}, Scopes: scopes("data:write"), Approval: approval.Rule{Consent: true}},
			"external": {Proof: tool.Proof{Kind: tool.UserToken, Binding: mtls.Binding}, Scopes: scopes("external:invoke"), Approval: approval.Rule{Roles: roles("operator", "admin")}},
			"execute":  {Proof: tool.Proof{Kind: tool.OwnToken, Attested: true}, Scopes: scopes("exec:sandbox"), Approval: approval.Rule{Roles: roles("admin")}},
		},
		Tools: []tool.Tool{
			{Name: "read_public", Class: "read", Arguments: tool.Args[readPublic]()},
			{Name: "update_profile", Class: "modify", Version: "2", Arguments: tool.Args[updateProfile]()},
			{Name: "call_partner", Class: "external", Arguments: tool.Args[callPartner](), Check: func(ctx context.Context, c *tool.Call) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if c.Arguments.(*callPartner).Amount > 1000 {
					return errors.New("at most 1000")
				}
				k.check()
				return nil
			}},
			{Name: "run_code", Class: "execute", Arguments: tool.Args[runCode]()},
		},
		Approvals: k.approvals, Observer: k.seen,
		Facts: func(ctx context.Context, p gatehouse.Principal) (tool.Facts, error) {
			if err := ctx.Err(); err != nil {
				return tool.Facts{}, err
			}
			return k.facts(p)
		},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func scopes(names ...string) gatehouse.Scopes { return must(gatehouse.NewScopes(names...)) }

func roles(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }

// factsOf returns the facts of the callers of these tests.
func factsOf(p gatehouse.Principal) (tool.Facts, error) {
	obtainable := scopes("data:read", "data:write", "external:invoke", "exec:sandbox")
	actor, delegated := p.Actors.Current()
	switch {
	case delegated:
		return tool.Facts{
			Kind: tool.Delegated, Subject: gatehouse.Key{Issuer: people, Subject: p.Subject}, Actor: gatehouse.Key{Issuer: server, Subject: actor.Subject}, Obtainable: obtainable,
		}, nil
	case p.Kind == gatehouse.KindAgent:
		return tool.Facts{Kind: tool.OwnToken, Attested: p.Subject == "helper-1", Obtainable: obtainable}, nil
	case p.Method == "jwt":
		return tool.Facts{Kind: tool.UserToken}, nil
	}
	return tool.Facts{Kind: tool.APIKey}, nil
}

func key() gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindService, Subject: "reader", Tenant: "acme", Method: "api_key", Scopes: scopes("data:read")}
}

func own() gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindAgent, Issuer: server, Subject: "helper-1", Tenant: "acme", Method: "jwt", Binding: "dpop+" + mtls.Binding, Credential: "jti-1",
		Scopes: scopes("data:read", "data:write", "external:invoke", "exec:sandbox"),
	}
}

func delegated() gatehouse.Principal {
	p := own()
	p.Kind, p.Subject, p.Actors = gatehouse.KindUser, "alice", gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"})
	return p
}

func person(name string, names ...string) gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindUser, Issuer: people, Subject: name, Tenant: "acme", Method: "session", Roles: roles(names...)}
}

func with(p gatehouse.Principal, change func(p *gatehouse.Principal)) gatehouse.Principal {
	change(&p)
	return p
}

// codeOf returns the code of an error, "" for nil.
func codeOf(err error) string {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Code.String()
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return ""
}

// want checks the code of the refusal of a call, "" for none.
func (k *kit) want(t testing.TB, when string, p gatehouse.Principal, name, arguments, want string) {
	t.Helper()
	if call, err := k.Authorize(t.Context(), p, name, []byte(arguments)); codeOf(err) != want || (call == nil) != (want != "") {
		t.Errorf("%s: Authorize(%s) = %v, %v, want %q", when, name, call, err, want)
	}
}

// factsAre returns facts that are the same for each caller.
func factsAre(f tool.Facts) func(context.Context, gatehouse.Principal) (tool.Facts, error) {
	return func(context.Context, gatehouse.Principal) (tool.Facts, error) { return f, nil }
}

// read is a class that every caller may use.
func read() tool.Class {
	return tool.Class{Proof: tool.Proof{Kind: tool.APIKey}, Scopes: scopes("data:read"), AllowUnrecorded: true}
}

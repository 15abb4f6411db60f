// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

const (
	people = "https://id.example.com"
	server = "https://tools.example.com"
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

// last returns the last event, and an attribute of it.
func (e *events) last(attr string) (gatehouse.Event, string) {
	if len(e.all) == 0 {
		return gatehouse.Event{}, ""
	}
	event := e.all[len(e.all)-1]
	for _, a := range event.Attrs {
		if a.Key == attr {
			return event, a.Value.String()
		}
	}
	return event, ""
}

func newApprovals(t *testing.T, change func(c *approval.Config)) *approval.Approvals {
	t.Helper()
	config := approval.Config{Store: &store{Store: approval.NewMemory(0)}, URL: server + "/approvals"}
	if change != nil {
		change(&config)
	}
	return must(approval.New(config))
}

// store is a store whose calls can fail, and whose errors have others as their cause.
type store struct {
	approval.Store
	err    error
	answer *approval.Approval // to Request and Claim
	after  func()             // a decision
}

var errDown = errors.New("down")

func (s *store) call(f func() (approval.Approval, error)) (approval.Approval, error) {
	switch {
	case s.answer != nil:
		return *s.answer, nil
	case s.err != nil:
		return approval.Approval{}, s.err
	}
	a, err := f()
	if err != nil {
		err = fmt.Errorf("store: %w", err)
	}
	return a, err
}

func (s *store) Request(ctx context.Context, a approval.Approval, limits approval.Limits, again bool) (got approval.Approval, added bool, err error) {
	got, err = s.call(func() (stored approval.Approval, err error) {
		stored, added, err = s.Store.Request(ctx, a, limits, again)
		return stored, err
	})
	return got, added, err
}

func (s *store) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	return s.call(func() (approval.Approval, error) { return s.Store.Find(ctx, tenant, id) })
}

func (s *store) Decide(ctx context.Context, tenant, id string, d approval.Decision) (approval.Approval, bool, error) {
	if s.after != nil {
		defer s.after()
	}
	return s.Store.Decide(ctx, tenant, id, d)
}

func (s *store) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	return s.call(func() (approval.Approval, error) { return s.Store.Claim(ctx, tenant, digest) })
}

func (s *store) List(ctx context.Context, f approval.Filter, limit, maxBytes int) ([]approval.Approval, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Store.List(ctx, f, limit, maxBytes)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func roles(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }

// person returns a user of the tenant acme who acts in person.
func person(name string, names ...string) gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Issuer: people, Subject: name, Tenant: "acme", Roles: roles(names...), Method: "session",
	}
}

func agent() gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindAgent, Issuer: server, Subject: "helper-1", Tenant: "acme", Method: "jwt"}
}

// pay is a call of an agent for itself.
func pay(arguments string) approval.Call {
	return approval.Call{Tenant: "acme", Subject: agent().Key(), Actor: agent().Key(), Tool: "pay", Version: "1", Arguments: arguments}
}

// profile is a call of an agent for alice.
func profile() approval.Call {
	return approval.Call{
		Tenant: "acme", Subject: gatehouse.Key{Issuer: people, Subject: "alice"}, Actor: agent().Key(), Tool: "update_profile", Arguments: `{"display_name":"A"}`,
	}
}

// profileWith is profile with arguments, in any form.
func profileWith(arguments string) approval.Call {
	call := profile()
	call.Arguments = must(approval.Canonical([]byte(arguments)))
	return call
}

// decide decides on an approval, which must succeed.
func decide(a *approval.Approvals, decider gatehouse.Principal, id string, approve bool) {
	must(a.Decide(context.Background(), decider, id, approve, ""))
}

func with(p gatehouse.Principal, change func(p *gatehouse.Principal)) gatehouse.Principal {
	change(&p)
	return p
}

func request(t testing.TB, a *approval.Approvals, c approval.Call, r approval.Rule) approval.Approval {
	t.Helper()
	return must(a.Request(t.Context(), c, r))
}

// codeOf returns the code of an error, "" for nil.
func codeOf(err error) string {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Code.String()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// SPDX-License-Identifier: Apache-2.0

package approvaltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/approval"
)

var requestRules = []rule{
	newRule("request", "Request adds an approval with the ID, Call and Rule of a. Created is now, Expires is now + Limits.Lifetime, the other fields are zero.", func(s suite) {
		before := s.request("clock", draft("clock"), false, true)
		a := draft("a")
		a.Created, a.Used, a.AsOf = time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)
		a.Decisions = []approval.Decision{approve("oscar")}
		got := s.request("a", a, false, true)
		want := draft("a")
		want.Created, want.Expires, want.AsOf = got.Created, got.Created.Add(lifetime), got.AsOf
		s.same("Request", got, want)
		after := s.find("clock")
		if got.Created.Compare(before.Created) < 0 || got.Created.After(after.AsOf) {
			s.Failf("Created = %v, want the time now, %v to %v", got.Created, before.Created, after.AsOf)
		}
		if !got.Created.Equal(got.AsOf) {
			s.Failf("Created = %v, want AsOf, %v", got.Created, got.AsOf)
		}
		consent := draft("b")
		consent.Rule, consent.Version = approval.Rule{Consent: true}, ""
		got = s.requestFor("consent, 1.5 ms", consent, lifetime+1500*time.Microsecond, false, true)
		consent.Created, consent.Expires, consent.AsOf = got.Created, got.Created.Add(lifetime+1500*time.Microsecond), got.AsOf
		s.same("Request", got, consent)
		s.status("Request", got, approval.Pending)
	}),
	newRule("same call", "Request returns the open approval with the digest of a, if there is one.", func(s suite) {
		first := s.request("first", draft("a"), false, true)
		second := draft("a")
		second.ID = "second"
		for _, again := range []bool{false, true} {
			s.same("second request", s.request("second", second, again, false), first)
		}
		first = s.decide("first", first, approve("oscar"), true)
		s.same("request after one decision", s.request("second", second, false, false), first)
		first = s.decide("second", first, approve("olga"), true)
		for _, again := range []bool{false, true} {
			s.same("request of an approved call", s.request("second", second, again, false), first)
		}
		s.claim(first)
		s.request("after use", second, false, true)
		_, err := s.store.Find(s.Context(), first.Tenant, first.ID)
		s.NoError(err)
	}),
	newRule("other calls", "The digest covers the Call and the Rule, each field.", func(s suite) {
		s.request("first", draft("a"), false, true)
		for i, change := range []func(a *approval.Approval){
			func(a *approval.Approval) { a.Tenant = "Tenant ☂" },
			func(a *approval.Approval) { a.Subject = key("Alice") },
			func(a *approval.Approval) { a.Actor.Issuer += "x" },
			func(a *approval.Approval) { a.Tool = "Tool a" },
			func(a *approval.Approval) { a.Version = "" },
			func(a *approval.Approval) { a.Arguments = `{}` },
			func(a *approval.Approval) { a.Count = 1 },
			func(a *approval.Approval) { a.Roles = roles("admin") },
			func(a *approval.Approval) { a.Rule = approval.Rule{Consent: true} },
		} {
			a := draft("a")
			a.ID = fmt.Sprint("a", i)
			change(&a)
			got, added, err := s.store.Request(s.Context(), a, limits(lifetime), false)
			s.NoError(err)
			if !added || got.ID != a.ID {
				s.Failf("Request of call %d = %q, %v, want it added", i, got.ID, added)
			}
		}
	}),
	newRule("denied", "Unless again is true, Request returns a denied approval that has not expired.", func(s suite) {
		first := s.request("first", draft("a"), false, true)
		first = s.decide("no", first, deny("oscar"), true)
		second := draft("a")
		second.ID = "second"
		s.same("request after a denial", s.request("second", second, false, false), first)
		got := s.request("again", second, true, true)
		if got.ID != "second" || got.Status() != approval.Pending {
			s.Failf("Request(again) = %q, %s, want second, pending", got.ID, got.Status())
		}
		s.same("the denied one", s.find("a"), first)
		third := draft("a")
		third.ID = "third"
		s.same("request after a denial and another request", s.request("third", third, false, false), got)
	}),
	newRule("too many", "If Limits.Pending approvals of the tenant and the actor are pending, Request returns ErrTooMany.", func(s suite) {
		request := func(id string, change func(a *approval.Approval), lifetime time.Duration, most int) error {
			a := draft(id)
			if change != nil {
				change(&a)
			}
			_, _, err := s.store.Request(s.Context(), a, approval.Limits{Lifetime: lifetime, Pending: most, Bytes: 1 << 20}, false)
			return err
		}
		s.approved("approved")
		s.NoError(request("a", nil, lifetime, 2))
		s.NoError(request("b", nil, lifetime, 2))
		if err := request("c", nil, lifetime, 2); !errors.Is(err, approval.ErrTooMany) {
			s.Failf("third Request error = %v, want %v", err, approval.ErrTooMany)
		}
		s.NoError(request("a", nil, lifetime, 2)) // is there
		s.NoError(request("d", func(a *approval.Approval) { a.Actor = key("another agent") }, lifetime, 1))
		s.NoError(request("e", func(a *approval.Approval) { a.Tenant = "tenant" }, lifetime, 1)) // the beginning of the other one
		s.decide("no", s.find("b"), deny("oscar"), true)
		s.NoError(request("f", nil, short, 2))
		s.Until("an expired approval does not count", func() bool { return request("g", nil, lifetime, 2) == nil })
	}),
	newRule("too large", "If the Arguments of the pending approvals of the tenant and the actor, with those of a, exceed Limits.Bytes, Request returns ErrTooMany.", func(s suite) {
		request := func(id string, change func(a *approval.Approval), bytes int) error {
			a := draft(id)
			if a.Arguments = `{"a":"é"}`; change != nil { // 10 bytes, 9 characters
				change(&a)
			}
			_, _, err := s.store.Request(s.Context(), a, approval.Limits{Lifetime: lifetime, Pending: 50, Bytes: bytes}, false)
			return err
		}
		s.approved("approved")
		for i, step := range []struct {
			arguments string
			bytes     int
			want      error
		}{{`{"a":"é"}`, 9, approval.ErrTooMany}, {`{"a":"é"}`, 10, nil}, {`{"a":"éé"}`, 21, approval.ErrTooMany}, {`{"a":"éé"}`, 22, nil}, {`{"a":"é"}`, 31, approval.ErrTooMany}} {
			err := request(fmt.Sprint("a", i), func(a *approval.Approval) { a.Arguments = step.arguments }, step.bytes)
			if !errors.Is(err, step.want) {
				s.Failf("Request of %s with at most %d bytes: error = %v, want %v", step.arguments, step.bytes, err, step.want)
			}
		}
		s.NoError(request("a1", nil, 1)) // is there
		s.NoError(request("b", func(a *approval.Approval) { a.Actor = key("another agent") }, 10))
		s.NoError(request("c", func(a *approval.Approval) { a.Tenant = "another tenant" }, 10))
		s.decide("no", s.find("a1"), deny("oscar"), true)
		s.NoError(request("d", nil, 22))
	}),
	newRule("ID exists", "If the ID exists, Request returns an error.", func(s suite) {
		first := s.request("first", draft("a"), false, true)
		other := draft("a")
		other.Tool = "another tool"
		if _, added, err := s.store.Request(s.Context(), other, limits(lifetime), false); err == nil || added ||
			errors.Is(err, approval.ErrNotFound) || errors.Is(err, approval.ErrTooMany) {
			s.Failf("Request with an ID that exists = %v, %v, want an error of its own", added, err)
		}
		s.same("the first", s.find("a"), first)
	}),
	newRule("tenant", "An approval of another tenant is not found.", func(s suite) {
		a := s.approved("a")
		pending := s.request("b", draft("b"), false, true)
		for _, tenant := range []string{"", "Tenant ☂", "tenant ☂ ", "another"} {
			_, err := s.store.Find(s.Context(), tenant, "a")
			s.notFound("Find in "+tenant, err)
			_, decided, err := s.store.Decide(s.Context(), tenant, "b", approve("oscar"))
			s.notFound("Decide in "+tenant, err)
			if decided {
				s.Failf("Decide in tenant %q = true, want false", tenant)
			}
			_, err = s.store.Claim(s.Context(), tenant, a.Digest())
			s.notFound("Claim in "+tenant, err)
		}
		for _, id := range []string{"", "A", " a", "c"} {
			for _, tenant := range []string{a.Tenant, ""} {
				_, err := s.store.Find(s.Context(), tenant, id)
				s.notFound("Find "+id, err)
				_, _, err = s.store.Decide(s.Context(), tenant, id, approve("oscar"))
				s.notFound("Decide "+id, err)
			}
		}
		s.same("pending", s.find("b"), pending)
		s.same("approved", s.find("a"), a)
	}),
	newRule("copies", "Approvals are copied in and out.", func(s suite) {
		a := s.request("a", draft("a"), false, true)
		a = s.decide("first", a, approve("oscar"), true)
		a.Decisions[0].Comment = "changed"
		again, _, err := s.store.Request(s.Context(), draft("a"), limits(lifetime), false)
		s.NoError(err)
		again.Decisions[0].Comment = "changed"
		s.find("a").Decisions[0].Comment = "changed"
		listed, err := s.store.List(s.Context(), everyone(), 10, 1<<20)
		s.NoError(err)
		if len(listed) == 1 && len(listed[0].Decisions) == 1 {
			listed[0].Decisions[0].Comment = "changed"
		}
		if got := s.find("a").Decisions[0].Comment; got != reason {
			s.Failf("after changes to what methods returned, Comment = %q", got)
		}
	}),
	newRule("clock", "One clock yields the current time and all times derived from it, in microseconds and UTC.", func(s suite) {
		a := s.request("a", draft("a"), false, true)
		s.until("a", a.AsOf)
		b := s.request("b", draft("b"), false, true)
		b = s.decide("first", b, approve("oscar"), true)
		b = s.decide("second", b, approve("olga"), true)
		used := s.claim(b)
		now := s.find("a").AsOf
		times := []time.Time{a.Created, b.Created, b.Decisions[0].Time, b.Decisions[1].Time, used.Used, now}
		for i, t := range times {
			if t.Location() != time.UTC || !t.Equal(t.Truncate(time.Microsecond)) {
				s.Failf("time %d = %v, want UTC in microseconds", i, t)
			}
			if i > 0 && t.Before(times[i-1]) {
				s.Failf("times = %v, want them in order", times)
			}
		}
		if !used.Used.Equal(used.AsOf) {
			s.Failf("Used = %v, want AsOf, %v", used.Used, used.AsOf)
		}
	}),
	newRule("canceled context", "If the context is already done, a method changes nothing and returns an error.", func(s suite) {
		approved, pending := s.approved("approved"), s.request("pending", draft("pending"), false, true)
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		_, _, err1 := s.store.Request(canceled, draft("new"), limits(lifetime), false)
		_, err2 := s.store.Find(canceled, pending.Tenant, "pending")
		_, _, err3 := s.store.Decide(canceled, pending.Tenant, "pending", approve("oscar"))
		_, err4 := s.store.Claim(canceled, approved.Tenant, approved.Digest())
		_, err5 := s.store.List(canceled, everyone(), 10, 1<<20)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if err == nil || errors.Is(err, approval.ErrNotFound) || errors.Is(err, approval.ErrTooMany) {
				s.Failf("method %d with a canceled context: error = %v, want another one", i+1, err)
			}
		}
		_, err := s.store.Find(s.Context(), pending.Tenant, "new")
		s.notFound("Find after a canceled Request", err)
		s.same("pending", s.find("pending"), pending)
		s.same("approved", s.find("approved"), approved)
	}),
}

// everyone is a filter for a person who may decide on the approvals of [draft].
func everyone() approval.Filter {
	return approval.Filter{Tenant: draft("").Tenant, Decider: key("olga"), Roles: roles("operator, of 100%", "another")}
}

// ids returns the IDs of approvals.
func ids(all []approval.Approval) []string {
	names := make([]string, 0, len(all))
	for _, a := range all {
		names = append(names, a.ID)
	}
	return names
}

func (s suite) list(what string, f approval.Filter, limit int, want ...string) []approval.Approval {
	s.Helper()
	got, err := s.store.List(s.Context(), f, limit, 1<<20)
	s.NoError(err)
	if !reflect.DeepEqual(ids(got), append([]string{}, want...)) {
		s.Failf("List(%s) = %q, want %q", what, ids(got), want)
	}
	for _, a := range got {
		s.same("List("+what+")", a, s.find(a.ID))
	}
	return got
}

// SPDX-License-Identifier: Apache-2.0

package approvaltest

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/contract"
)

var decideRules = []rule{
	newRule("decide", "Decide appends d, with the Time now, if the approval is pending and d.Decider has not decided, and returns the approval after the change.", func(s suite) {
		a := s.request("a", draft("a"), false, true)
		s.until(a.ID, a.Created.Add(time.Millisecond))
		one := s.decide("first", a, approve("oscar"), true)
		if at := one.Decisions[0].Time; !at.After(a.Created) || at.After(one.AsOf) {
			s.Failf("Time of a decision = %v, want it between %v and %v", at, a.Created, one.AsOf)
		}
		s.status("after one of two", one, approval.Pending)
		same := s.decide("the same person", a, approve("oscar"), false)
		s.same("after the same person", same, one)
		s.same("after the same person denies", s.decide("the same person denies", a, deny("oscar"), false), one)
		// The next persons differ in one character.
		two := s.decide("second", a, approve("Oscar"), true)
		s.status("after two of two", two, approval.Approved)
		if !slices.Equal(two.Decisions[:1], one.Decisions) {
			s.Failf("Decisions = %+v, want the first unchanged", two.Decisions)
		}
		s.same("after it was approved", s.decide("third", a, deny("olga"), false), two)
	}),
	newRule("count", "An approval is approved as soon as Rule.Count different persons have approved, 1 if zero.", func(s suite) {
		for _, count := range []int{0, 1, 3} {
			a := draft("count" + string(rune('0'+count)))
			a.Count = count
			a = s.request("a", a, false, true)
			for n := range max(count, 1) {
				s.status("before the last", a, approval.Pending)
				d := approve("person " + string(rune('a'+n)))
				switch n {
				case 1: // the text of this key is the end of that of the first one
					d = approve("person a")
					d.Decider.Issuer = ""
				case 2: // and this one its beginning
					d.Decider.Subject = "person a"
				}
				a = s.decide("a person", a, d, true)
			}
			s.status("after the last", a, approval.Approved)
		}
	}),
	newRule("deny", "One denial ends the approval.", func(s suite) {
		a := s.request("a", draft("a"), false, true)
		s.decide("yes", a, approve("oscar"), true)
		denied := s.decide("no", a, deny("olga"), true)
		s.status("after a denial", denied, approval.Denied)
		s.same("after the denial", s.decide("yes", a, approve("otto"), false), denied)
		s.notClaimed("a denied approval", a)
	}),
	newRule("decide after use", "Decide changes only pending approvals.", func(s suite) {
		a := s.approved("a")
		used := s.claim(a)
		s.same("after use", s.decide("late", a, deny("otto"), false), used)
	}),
	newRule("expiry", "An approval that has expired is neither open nor denied: Decide and Claim do not change it, Request adds another one.", func(s suite) {
		clock := s.request("clock", draft("clock"), false, true)
		s.Short(func(n int, lifetime time.Duration) bool {
			var all []approval.Approval
			decisions := []approval.Decision{approve("oscar"), approve("olga"), deny("otto")}
			for i, decisions := range [][]approval.Decision{nil, decisions[:2], decisions[2:]} { // pending, approved, denied
				a := s.requestFor("short", draft(fmt.Sprint(n, " ", i)), lifetime, false, true)
				for _, d := range decisions {
					got, decided, err := s.store.Decide(s.Context(), a.Tenant, a.ID, d)
					if err != nil { // it is removed
						s.notFound("Decide", err)
					}
					now := s.find(clock.ID).AsOf
					if decided {
						a = got
					} else if now.Before(a.Expires) {
						s.Stopf("Decide = false at %v, want true until %v", now, a.Expires)
					} else {
						return false
					}
				}
				all = append(all, a)
			}
			s.until(clock.ID, all[2].Expires.Add(time.Millisecond))
			for _, a := range all[:2] {
				got, decided, err := s.store.Decide(s.Context(), a.Tenant, a.ID, approve("late"))
				if err != nil { // it is removed
					s.notFound("Decide on an expired approval", err)
					continue
				}
				s.status("expired", got, approval.Expired)
				if decided || len(got.Decisions) != len(a.Decisions) {
					s.Failf("Decide on an expired approval = %v, want false", decided)
				}
			}
			s.notClaimed("an expired approval", all[1])
			for _, a := range all {
				next := draft(a.ID)
				next.ID = a.ID + " 2"
				got := s.request("again", next, false, true)
				s.status("again", got, approval.Pending)
			}
			return true
		})
	}),
}

var claimRules = []rule{
	newRule("claim", "Claim sets Used to now in the approval of digest that is approved. If there is none, it returns ErrNotFound.", func(s suite) {
		s.notClaimed("nothing", draft("a"))
		a := s.request("a", draft("a"), false, true)
		s.notClaimed("a pending approval", a)
		a = s.decide("first", a, approve("oscar"), true)
		s.notClaimed("a half approved approval", a)
		a = s.decide("second", a, approve("olga"), true)
		other := draft("a")
		other.Arguments = `{"a":1}`
		s.notClaimed("another call", other)
		used := s.claim(a)
		want := a
		want.Used, want.AsOf = used.Used, used.AsOf
		s.same("Claim", used, want)
		s.same("stored after Claim", s.find("a"), used)
		s.status("after Claim", used, approval.Used)
		s.notClaimed("a used approval", a)
		s.same("stored after a second Claim", s.find("a"), used)
		for n := range 4 { // more approvals of the same call
			next := draft("a")
			next.ID = fmt.Sprint("a", n)
			next = s.request("again", next, false, true)
			s.decide("first", next, approve("oscar"), true)
			s.decide("second", next, approve("olga"), true)
			if got := s.claim(next); got.ID != next.ID {
				s.Failf("Claim = %q, want %q, which is the one that is approved", got.ID, next.ID)
			}
		}
	}),
}

var listRules = []rule{
	newRule("list", "List returns at most limit of the approvals that are pending and match, of one actor the last created first.", func(s suite) {
		s.list("nothing", everyone(), 10)
		var last time.Time
		for _, id := range []string{"b", "a", "c"} {
			a := s.request(id, draft(id), false, true)
			if !last.IsZero() && !a.Created.After(last) {
				s.until(id, last)
			}
			last = a.Created
			s.until(id, last.Add(2*time.Millisecond))
		}
		s.approved("approved")
		s.decide("no", s.request("denied", draft("denied"), false, true), deny("oscar"), true)
		s.claim(s.approved("used"))
		expired := s.requestFor("expired", draft("expired"), 20*time.Millisecond, false, true)
		s.until("a", expired.Expires.Add(time.Millisecond))
		s.list("all", everyone(), 10, "c", "a", "b")
		s.list("two", everyone(), 2, "c", "a")
		s.list("none", everyone(), 0)
		s.decide("one of two", s.find("a"), approve("oscar"), true)
		s.list("one of two", everyone(), 10, "c", "a", "b")
	}),
	newRule("list turns", "In List the actors take turns, and one with many approvals hides no other.", func(s suite) {
		for _, id := range []string{"one b", "two a", "three a", "one a", "two b", "two c", "two d"} { // the actor and a letter
			a := draft(id)
			actor, _, _ := strings.Cut(id, " ")
			a.Actor = key(actor)
			a = s.request(id, a, false, true)
			s.until(id, a.Created.Add(2*time.Millisecond))
		}
		all := []string{"two d", "one a", "three a", "two c", "one b", "two b", "two a"}
		for limit := range len(all) + 1 {
			s.list("some", everyone(), limit, all[:limit]...)
		}
	}),
	newRule("list size", "In List, Arguments of more than maxBytes are left out: they are empty.", func(s suite) {
		for i, arguments := range []string{`{"a":"é"}`, `{"a":"éé"}`, `{}`} { // 10, 12 and 2 bytes
			a := draft(string(rune('a' + i)))
			a.Arguments = arguments
			a = s.request(a.ID, a, false, true)
			s.until(a.ID, a.Created.Add(2*time.Millisecond))
		}
		for maxBytes, want := range map[int][]string{
			0: {"", "", ""}, 2: {`{}`, "", ""}, 9: {`{}`, "", ""}, 10: {`{}`, "", `{"a":"é"}`}, 11: {`{}`, "", `{"a":"é"}`}, 12: {`{}`, `{"a":"éé"}`, `{"a":"é"}`},
		} {
			got, err := s.store.List(s.Context(), everyone(), 10, maxBytes)
			s.NoError(err)
			if len(got) != len(want) {
				s.Stopf("List = %q, want all", ids(got))
			}
			for i, a := range got {
				full := s.find(a.ID)
				full.Arguments = want[i]
				s.same(fmt.Sprintf("List of at most %d bytes", maxBytes), a, full)
			}
		}
	}),
	newRule("list filter", "List returns the approvals for which Filter.Matches is true.", func(s suite) {
		add := func(id string, change func(a *approval.Approval)) {
			a := draft(id)
			change(&a)
			_, _, err := s.store.Request(s.Context(), a, limits(lifetime), false)
			s.NoError(err)
		}
		olga := everyone()
		add("another tenant", func(a *approval.Approval) { a.Tenant = "Tenant ☂" })
		add("a tenant of a shorter name", func(a *approval.Approval) { a.Tenant = "tenant" })
		add("other roles", func(a *approval.Approval) { a.Roles = roles("Operator, of 100%", "operator", "admin") })
		add("own call", func(a *approval.Approval) { a.Subject = olga.Decider })
		add("own actor", func(a *approval.Approval) { a.Actor = olga.Decider })
		add("consent of alice", func(a *approval.Approval) { a.Rule = approval.Rule{Consent: true} })
		s.list("olga", olga, 10)
		add("consent of olga", func(a *approval.Approval) { a.Subject, a.Rule = olga.Decider, approval.Rule{Consent: true} })
		s.list("olga", olga, 10, "consent of olga")
		s.list("olga without roles", approval.Filter{Tenant: olga.Tenant, Decider: olga.Decider}, 10, "consent of olga")
		alice := approval.Filter{Tenant: olga.Tenant, Decider: key("alice"), Roles: olga.Roles}
		s.list("alice", alice, 10, "consent of alice", "own call")
		s.list("no tenant", approval.Filter{Decider: olga.Decider, Roles: olga.Roles}, 10)
		s.list("a role that is a part of another", approval.Filter{Tenant: olga.Tenant, Decider: key("otto"), Roles: roles("oper", "of 100%")}, 10)
		decided := s.request("decided", draft("decided"), false, true)
		s.decide("first", decided, approve("olga"), true)
		s.list("after her decision", olga, 10, "consent of olga")
		for _, other := range []gatehouse.Key{key("OLGA"), {Issuer: olga.Decider.Issuer, Subject: "olga"}, {Subject: olga.Decider.Subject}} {
			s.list("another person", approval.Filter{Tenant: olga.Tenant, Decider: other, Roles: roles("another", "operator, of 100%")}, 10,
				"decided", "own actor", "own call")
		}
	}),
}

var raceRules = []rule{
	newRule("race to claim", "Of several claims exactly one succeeds.", func(s suite) {
		for round := range contract.Rounds {
			a := s.approved("a" + string(rune('a'+round)))
			var won atomic.Int64
			contract.Together(contract.Racers, func(int) {
				if _, err := s.store.Claim(s.Context(), a.Tenant, a.Digest()); err == nil {
					won.Add(1)
				} else {
					s.notFound("Claim", err)
				}
			})
			if n := won.Load(); n != 1 {
				s.Failf("%d of %d claims succeeded, want 1", n, contract.Racers)
			}
		}
	}),
	newRule("race to request", "Concurrent requests of one call return one approval.", func(s suite) {
		for round := range contract.Rounds {
			call := draft("a" + string(rune('a'+round)))
			var added atomic.Int64
			var got [contract.Racers]string
			contract.Together(contract.Racers, func(i int) {
				a := call
				a.ID += string(rune('a' + i))
				b, ok, err := s.store.Request(s.Context(), a, approval.Limits{Lifetime: lifetime, Pending: 1 << 20, Bytes: 1 << 30}, false)
				if err != nil {
					s.Failf("Request error = %v", err)
				}
				if got[i] = b.ID; ok {
					added.Add(1)
				}
			})
			if n := added.Load(); n != 1 || slices.ContainsFunc(got[:], func(id string) bool { return id != got[0] }) {
				s.Failf("%d requests added an approval and the IDs are %q, want 1 and the same ID", n, got)
			}
		}
	}),
	newRule("race to decide", "Each decision is recorded once, and none after the approval has ended.", func(s suite) {
		for round := range contract.Rounds {
			a := s.request("a", draft("a"+string(rune('a'+round))), false, true)
			var decided atomic.Int64
			contract.Together(contract.Racers, func(i int) {
				d := approve("person " + string(rune('a'+i/2))) // each person twice
				_, ok, err := s.store.Decide(s.Context(), a.Tenant, a.ID, d)
				if err != nil {
					s.Failf("Decide error = %v", err)
				}
				if ok {
					decided.Add(1)
				}
			})
			got := s.find(a.ID)
			if n := decided.Load(); n != 2 || len(got.Decisions) != 2 || got.Decisions[0].Decider == got.Decisions[1].Decider {
				s.Failf("%d decisions were accepted and %+v are recorded, want 2 of different persons", n, got.Decisions)
			}
		}
	}),
}

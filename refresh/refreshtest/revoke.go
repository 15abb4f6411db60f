// SPDX-License-Identifier: Apache-2.0

package refreshtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
)

// endAll ends families and returns their ids.
func (s families) endAll(f refresh.Filter, limit int) string {
	s.Helper()
	ended, err := s.store.RevokeAll(s.Context(), f, limit)
	s.Good(err)
	var ids []string
	for _, r := range ended {
		if r.Revoked.IsZero() || !r.Revoked.Equal(r.AsOf) || len(r.Successor) > 0 {
			s.Failf("%s was returned as %+v", r.ID, r)
		}
		s.unchanged("what was returned", r)
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

var familyEndRules = []familyRule{
	familyOf("end", "End sets Ended to now and Successor to empty if Ended is zero, and changes nothing otherwise.",
		func(s families) {
			other := s.create(draft("b"), time.Hour)
			s.create(draft("a"), time.Hour)
			before := s.rotate("the newest token", "a", present("a", 1, 2, time.Minute), refresh.Rotated)
			want, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			s.ended("returned", want, before)
			s.unchanged("the end", want)
			s.until("a", want.Revoked)
			again, err := s.store.Revoke(s.Context(), "a")
			s.Good(err)
			s.same("ended again", again, want)
			s.unchanged("the end of another", other)
		}),
	familyOf("end all", "EndAll ends the families that match and are not over, and returns those that it has ended. A filter without a field matches nothing.",
		func(s families) {
			for i, grant := range []refresh.Grant{
				{Subject: "s", Client: "c"},
				{Subject: "s", Client: "d"},
				{Subject: "t", Client: "c"},
				{Subject: "t", Client: "d"},
				{Subject: "S", Client: "c"},
				{Subject: "ss", Client: "c"},
				{Subject: "c", Client: "s"},
				{Subject: "s", Client: "c"},
				{Tenant: "t"}, // of whom a filter can say nothing
			} {
				r := draft(string(rune('a' + i)))
				r.Grant = grant
				s.create(r, time.Hour)
				if i == 0 {
					s.rotate("the newest token", r.ID, present2(r.ID, grant.Client), refresh.Rotated)
				}
			}
			_, err := s.store.Revoke(s.Context(), "h")
			s.Good(err)
			for _, step := range []struct {
				filter refresh.Filter
				want   string
			}{
				{refresh.Filter{}, ""},
				{refresh.Filter{Subject: "u"}, ""},
				{refresh.Filter{Subject: "s", Client: "e"}, ""},
				{refresh.Filter{Subject: "s", Client: "c"}, "a"},
				{refresh.Filter{Subject: "s", Client: "c"}, ""},
				{refresh.Filter{Subject: "s"}, "b"},
				{refresh.Filter{Client: "c"}, "c e f"},
				{refresh.Filter{Client: "d"}, "d"},
				{refresh.Filter{Client: "s"}, "g"},
			} {
				if got := s.endAll(step.filter, 100); got != step.want {
					s.Failf("%+v ends %q, want %q", step.filter, got, step.want)
				}
			}
		}),
	familyOf("end some", "EndAll ends at most limit of them. Fewer than limit means that none were left.",
		func(s families) {
			const all = 10
			for i := range all {
				r := draft(fmt.Sprintf("f%d", i))
				if i%2 == 1 {
					r.Client = "other"
				}
				s.create(r, time.Hour)
			}
			for _, f := range []refresh.Filter{{Subject: "subject", Client: "other"}, {Client: "client"}} {
				for _, want := range []int{3, 2, 0} {
					if got := len(strings.Fields(s.endAll(f, 3))); got != want {
						s.Failf("of %+v at most three: %d, want %d", f, got, want)
					}
				}
			}
		}),
	familyOf("end all of what is over", "EndAll does not end what is over by itself.",
		func(s families) {
			expired := s.create(draft("a"), 100*time.Millisecond)
			live := s.create(draft("b"), time.Hour)
			s.until(live.ID, expired.Expires)
			if got := s.endAll(refresh.Filter{Subject: "subject"}, 10); got != "b" {
				s.Failf("ends %q", got)
			}
		}),
}

// present2 presents the first token of a family of another client.
func present2(id, client string) refresh.Presentation {
	p := present(id, 1, 2, time.Minute)
	p.Client = client
	return p
}

// SPDX-License-Identifier: Apache-2.0

package expiring_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/expiring"
)

type value struct {
	owner   string
	expires time.Time
	tags    []string
}

func newMap(limit int) *expiring.Map[string, string, value] {
	return &expiring.Map[string, string, value]{
		Limit:   limit,
		Expires: func(v *value) time.Time { return v.expires },
		Group:   func(v *value) string { return v.owner },
		Clone:   func(v value) value { v.tags = slices.Clone(v.tags); return v },
	}
}

var start = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

func checkKeys(t *testing.T, m *expiring.Map[string, string, value], want ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(maps.Collect(m.All(nil)))); !slices.Equal(got, want) {
		t.Errorf("keys = %v, want %v", got, want)
	}
}

func TestPutReplacesExpiredOnly(t *testing.T) {
	m := newMap(3)
	for _, test := range []struct {
		name         string
		key          string
		expires, now int
		want         error
	}{
		{"first", "a", 10, 0, nil},
		{"second", "b", 20, 0, nil},
		{"third", "c", 30, 0, nil},
		{"in a full map", "d", 40, 9, expiring.ErrFull},
		{"again in a full map", "a", 25, 9, nil},
		{"after a new expiry of a", "d", 40, 19, expiring.ErrFull},
		{"at the expiry of b", "d", 40, 20, nil},
	} {
		if _, ok := m.Get("b"); test.now == 20 && !ok {
			t.Error("Get(b) at its expiry: not found, want it until its place is needed")
		}
		if err := m.Put(test.key, value{expires: at(test.expires)}, at(test.now)); !errors.Is(err, test.want) {
			t.Errorf("Put(%s) %s: error = %v, want %v", test.key, test.name, err, test.want)
		}
	}
	checkKeys(t, m, "a", "c", "d")
}

func TestZeroExpiryNeverExpires(t *testing.T) {
	m := newMap(2)
	m.Cache("never", value{})
	m.Cache("a", value{expires: at(1)})
	m.Cache("b", value{expires: at(2)})
	checkKeys(t, m, "b", "never")
	m.Cache("never too", value{})
	if err := m.Put("c", value{expires: at(3)}, at(1_000_000)); !errors.Is(err, expiring.ErrFull) {
		t.Errorf("Put(c) beside values without expiry error = %v, want %v", err, expiring.ErrFull)
	}
}

// First is the value that expires first, and values without expiry are last.
func TestFirstIsInOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := expiring.Map[int, struct{}, time.Time]{Limit: 20, Expires: func(v *time.Time) time.Time { return *v }} // needs neither Group nor Clone
		for key := range 20 {
			var expires time.Time
			if n := random.IntN(30); n > 10 {
				expires = at(n)
			}
			m.Cache(key, expires)
		}
		var last time.Time
		for m.Len() > 0 {
			key, expires, _ := m.First()
			if got, ok := m.Get(key); !ok || got != expires || !expires.IsZero() && expires.Before(last) || expires.IsZero() && m.Len() > 1 && !nextIsZero(&m, key) {
				t.Fatalf("First = %v after %v", expires, last)
			}
			last = expires
			m.Delete(key)
		}
	}
}

// nextIsZero reports whether no value but that of key expires.
func nextIsZero(m *expiring.Map[int, struct{}, time.Time], key int) bool {
	for other := range m.All(func(v *time.Time) bool { return !v.IsZero() }) {
		if other != key {
			return false
		}
	}
	return true
}

func TestNow(t *testing.T) {
	if now := expiring.Now(); now.Location() != time.UTC || now.Nanosecond()%1000 != 0 || time.Since(now).Abs() > time.Hour {
		t.Errorf("Now = %v, want the time in UTC to the microsecond", now)
	}
}

func TestCacheEvictsFirstToExpire(t *testing.T) {
	m := newMap(3)
	for n, key := range []string{"d", "a", "c", "b", "e"} {
		m.Cache(key, value{expires: at(int(key[0]))})
		if m.Len() != min(n+1, 3) {
			t.Errorf("Len after %d keys = %d, want %d", n+1, m.Len(), min(n+1, 3))
		}
	}
	checkKeys(t, m, "c", "d", "e")
	if key, v, ok := m.First(); key != "c" || !v.expires.Equal(at('c')) || !ok {
		t.Errorf("First = %s, %v, %t, want c", key, v.expires, ok)
	}
	if _, _, ok := newMap(1).First(); ok {
		t.Error("First of an empty map = true, want false")
	}
}

func TestLimitZeroHoldsNothing(t *testing.T) {
	m := newMap(0)
	m.Cache("a", value{})
	if err := m.Put("a", value{}, start); !errors.Is(err, expiring.ErrFull) || m.Len() != 0 {
		t.Errorf("Put error = %v with %d values, want %v with none", err, m.Len(), expiring.ErrFull)
	}
}

func TestCopiesInAndOut(t *testing.T) {
	m := newMap(1)
	in := value{owner: "o", tags: []string{"a"}}
	m.Cache("k", in)
	in.tags[0] = "changed"
	got, _ := m.Get("k")
	got.tags[0] = "changed"
	_, got, _ = m.First()
	got.tags[0] = "changed"
	for _, v := range m.All(nil) {
		v.tags[0] = "changed"
	}
	for _, v := range m.InGroup("o", nil) {
		v.tags[0] = "changed"
	}
	if got, _ := m.Get("k"); got.tags[0] != "a" {
		t.Errorf("tag = %q after changes of copies, want %q", got.tags[0], "a")
	}
}

func TestMatchLimitsAll(t *testing.T) {
	m := newMap(10)
	for n := range 10 {
		m.Cache(fmt.Sprint(n), value{owner: "o", expires: at(n)})
	}
	late := func(v *value) bool { return !v.expires.Before(at(5)) }
	deleted := 0
	for key := range m.InGroup("o", late) {
		m.Delete(key)
		if deleted++; deleted == 3 {
			break
		}
	}
	if got := len(maps.Collect(m.All(late))); got != 2 || m.Len() != 7 {
		t.Errorf("%d of %d values match, want 2 of 7", got, m.Len())
	}
}

// The index and the order stay those of a plain map under random changes.
func TestRandomChanges(t *testing.T) {
	const limit = 20
	random := rand.New(rand.NewPCG(1, 2))
	m, model := newMap(limit), make(map[string]value)
	for step := range 5_000 {
		now := at(step / 25)
		key := fmt.Sprint(random.IntN(40))
		if random.IntN(3) == 0 {
			m.Delete(key)
			delete(model, key)
			continue
		}
		v := value{owner: fmt.Sprint(random.IntN(3)), expires: now.Add(time.Duration(random.IntN(300)) * time.Second)}
		_, known := model[key]
		full := !known && len(model) >= limit
		err := m.Put(key, v, now)
		if full {
			first := ""
			for k, other := range model {
				if first == "" || other.expires.Before(model[first].expires) {
					first = k
				}
			}
			if model[first].expires.After(now) {
				if !errors.Is(err, expiring.ErrFull) {
					t.Fatalf("step %d: Put error = %v, want %v", step, err, expiring.ErrFull)
				}
				continue
			}
			for k := range model { // of several that expire at once, any
				if _, ok := m.Get(k); !ok && model[k].expires.Equal(model[first].expires) {
					first = k
				}
			}
			delete(model, first)
		}
		if err != nil {
			t.Fatalf("step %d: Put error = %v, want nil", step, err)
		}
		model[key] = v
		for owner := range 3 {
			got := make(map[string]bool)
			for k := range m.InGroup(fmt.Sprint(owner), nil) {
				got[k] = true
			}
			for k, v := range model {
				if got[k] != (v.owner == fmt.Sprint(owner)) || len(got) != m.GroupLen(fmt.Sprint(owner)) {
					t.Fatalf("step %d: key %s in group %d = %t, want %t", step, k, owner, got[k], !got[k])
				}
			}
		}
		if m.Len() != len(model) {
			t.Fatalf("step %d: Len = %d, want %d", step, m.Len(), len(model))
		}
	}
	for key := range model {
		m.Delete(key)
	}
	if n := reflect.ValueOf(m).Elem().FieldByName("groups").Len(); n != 0 {
		t.Errorf("an empty map keeps %d groups, want none", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package expiring has the bounded map of expiring values on which the in-memory
// stores and the caches are built.
package expiring

import (
	"container/heap"
	"errors"
	"iter"
	"time"
)

// ErrFull means that the map is full of values that have not expired.
var ErrFull = errors.New("expiring: the map is full")

// Now is the clock of the process at the resolution that stores keep:
// microseconds, in UTC.
func Now() time.Time { return time.UnixMicro(time.Now().UnixMicro()).UTC() }

// Map is a bounded map whose values expire. Set the fields before the first use. G is the
// type of the secondary index; use struct{} for none.
//
// The map keeps expired values until it needs capacity, and returns them: callers compare
// the expiry with their clock. All operations except All cost at most O(log n).
//
// A Map is not safe for concurrent use: its owner must hold a lock, because the changes
// of a store read before they write. Get, All and InGroup do not change the map, so a
// read lock suffices for them. A cache that many requests share spreads its keys over
// several maps, each with a lock.
type Map[K, G comparable, V any] struct {
	// Limit is the maximum number of values. At least 1.
	Limit int

	// Expires returns the time at which a value expires. The zero time means never.
	Expires func(*V) time.Time

	// Group returns the key of a value in the secondary index. Optional.
	Group func(*V) G

	// Clone returns a copy of a value that shares no memory with it. Optional:
	// without it a copy is an assignment.
	Clone func(V) V

	entries map[K]*entry[K, G, V]
	groups  map[G]map[K]*entry[K, G, V]
	order   order[K, G, V]
}

type entry[K, G comparable, V any] struct {
	key     K
	group   G
	value   V
	expires time.Time
	index   int // in order
}

// Len returns the number of values, expired ones included.
func (m *Map[K, G, V]) Len() int { return len(m.entries) }

// GroupLen returns the number of values of a group, expired ones included.
func (m *Map[K, G, V]) GroupLen(group G) int { return len(m.groups[group]) }

// Get returns a copy of the value of key, even if it has expired.
func (m *Map[K, G, V]) Get(key K) (value V, ok bool) {
	e := m.entries[key]
	if e == nil {
		return value, false
	}
	return m.clone(e.value), true
}

// First returns the key and a copy of the value that expires first.
func (m *Map[K, G, V]) First() (key K, value V, ok bool) {
	if len(m.order) == 0 {
		return key, value, false
	}
	return m.order[0].key, m.clone(m.order[0].value), true
}

// Put sets the value of key to a copy of value. If the map is full, a new key replaces
// the value that expires first if that has expired at now; otherwise Put returns
// [ErrFull].
func (m *Map[K, G, V]) Put(key K, value V, now time.Time) error {
	if m.entries[key] == nil && len(m.entries) >= m.Limit {
		if len(m.order) == 0 {
			return ErrFull
		}
		if first := m.order[0]; first.expires.IsZero() || first.expires.After(now) {
			return ErrFull
		}
	}
	m.Cache(key, value)
	return nil
}

// Cache sets the value of key to a copy of value. If the map is full, a new key replaces
// the value that expires first, even if it has not expired.
func (m *Map[K, G, V]) Cache(key K, value V) {
	if m.Limit < 1 {
		return
	}
	if m.entries == nil {
		m.entries = make(map[K]*entry[K, G, V])
		m.groups = make(map[G]map[K]*entry[K, G, V])
	}
	e := m.entries[key]
	if e == nil {
		if len(m.entries) >= m.Limit {
			m.Delete(m.order[0].key)
		}
		e = &entry[K, G, V]{key: key}
		m.entries[key] = e
	} else {
		m.leave(e)
	}
	e.value = m.clone(value)
	e.expires = m.Expires(&e.value)
	heap.Push(&m.order, e)
	if m.Group != nil {
		e.group = m.Group(&e.value)
		if m.groups[e.group] == nil {
			m.groups[e.group] = make(map[K]*entry[K, G, V])
		}
		m.groups[e.group][key] = e
	}
}

// Delete removes key and its value, if the map holds it.
func (m *Map[K, G, V]) Delete(key K) {
	if e := m.entries[key]; e != nil {
		m.leave(e)
		delete(m.entries, key)
	}
}

// leave removes e from the order and from the index.
func (m *Map[K, G, V]) leave(e *entry[K, G, V]) {
	heap.Remove(&m.order, e.index)
	delete(m.groups[e.group], e.key)
	if len(m.groups[e.group]) == 0 {
		delete(m.groups, e.group)
	}
}

// All returns copies of the values that match, expired ones included, in no order. A nil
// match matches all. match must not change or keep its argument. The loop may delete keys
// and set the value of the current key.
func (m *Map[K, G, V]) All(match func(*V) bool) iter.Seq2[K, V] { return m.matching(m.entries, match) }

// InGroup is like All for the values of one group of the secondary index.
func (m *Map[K, G, V]) InGroup(group G, match func(*V) bool) iter.Seq2[K, V] {
	return m.matching(m.groups[group], match)
}

func (m *Map[K, G, V]) matching(entries map[K]*entry[K, G, V], match func(*V) bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, e := range entries {
			if (match == nil || match(&e.value)) && !yield(key, m.clone(e.value)) {
				return
			}
		}
	}
}

func (m *Map[K, G, V]) clone(value V) V {
	if m.Clone == nil {
		return value
	}
	return m.Clone(value)
}

// order is a heap of the entries, the one that expires first in front.
type order[K, G comparable, V any] []*entry[K, G, V]

func (o order[K, G, V]) Len() int { return len(o) }

func (o order[K, G, V]) Less(i, j int) bool {
	a, b := o[i].expires, o[j].expires
	if a.IsZero() || b.IsZero() {
		return !a.IsZero()
	}
	return a.Before(b)
}

func (o order[K, G, V]) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

func (o *order[K, G, V]) Push(x any) {
	e := x.(*entry[K, G, V])
	e.index = len(*o)
	*o = append(*o, e)
}

func (o *order[K, G, V]) Pop() any {
	last := len(*o) - 1
	e := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return e
}

// SPDX-License-Identifier: Apache-2.0

package strictjson

import "hash/maphash"

// maxListed is the number of members up to which the names of an object are compared
// one by one. Larger objects use a hash table.
const maxListed = 32

// members are the names of the members of one open object.
type members struct {
	outer int    // where they begin in the list of the scanner
	seen  uint64 // a bit for each hash of a listed name, so that most names are compared with none

	names []string // of an object with more than maxListed members
	slots []uint32 // 1 + index in names, by linear probing; at most half of them are used
}

// add adds a name, and returns false if the object has it already.
func (m *members) add(s *scanner, f folded) bool {
	if m.slots != nil {
		return m.insert(f.name)
	}
	bit := uint64(1) << (f.hash % 64)
	if m.seen&bit != 0 {
		for n := m.outer; n < s.count; n++ {
			if s.name(n) == f.name {
				return false
			}
		}
	}
	if s.count-m.outer < maxListed {
		m.seen |= bit
		s.push(f.name)
		return true
	}
	for n := m.outer; n < s.count; n++ {
		m.insert(s.name(n))
	}
	return m.insert(f.name)
}

func (m *members) insert(name string) bool {
	if 2*len(m.names) >= len(m.slots) {
		m.slots = make([]uint32, max(8*maxListed, 2*len(m.slots)))
		for n, name := range m.names {
			*m.slot(name) = uint32(n + 1)
		}
	}
	slot := m.slot(name)
	if *slot != 0 {
		return false
	}
	m.names = append(m.names, name)
	*slot = uint32(len(m.names)) //nolint:gosec // at most Limits.Members
	return true
}

// seed is random, so that an attacker cannot choose names whose hashes collide.
var seed = maphash.MakeSeed()

// slot returns the slot of name, or the free one where it belongs.
func (m *members) slot(name string) *uint32 {
	mask := len(m.slots) - 1                                                // a power of two
	for n := int(maphash.String(seed, name)) & mask; ; n = (n + 1) & mask { //nolint:gosec // the mask is positive
		if slot := &m.slots[n]; *slot == 0 || m.names[*slot-1] == name {
			return slot
		}
	}
}

func (s *scanner) name(n int) string {
	if n < len(s.names) {
		return s.names[n]
	}
	return s.more[n-len(s.names)]
}

func (s *scanner) push(name string) {
	if s.count < len(s.names) {
		s.names[s.count] = name
	} else {
		s.more = append(s.more[:s.count-len(s.names)], name)
	}
	s.count++
}

// SPDX-License-Identifier: Apache-2.0

package strictjson

// Table lists the members of an object that a caller reads. It is immutable and safe for
// concurrent use.
type Table struct {
	names  []string
	folded []string
	slots  [tableSlots]uint8 // 1 + index of a name, by hash and linear probing; 0 is free
}

const tableSlots = 64

// NewTable makes a table of names. It panics if two names differ only in case,
// and if there are more than 48.
func NewTable(names ...string) *Table {
	t := &Table{names: names}
	if len(names) > tableSlots*3/4 {
		panic("strictjson: NewTable: too many names")
	}
	for n, name := range names {
		if t.Has(name) {
			panic("strictjson: NewTable: duplicate name " + name)
		}
		f := fold(name)
		t.folded = append(t.folded, f.name)
		slot := f.hash % tableSlots
		for t.slots[slot] != 0 {
			slot = (slot + 1) % tableSlots
		}
		t.slots[slot] = uint8(n + 1)
	}
	return t
}

// find returns the index of a folded name, -1 if the table does not have it.
func (t *Table) find(f folded) int {
	for slot := f.hash % tableSlots; t.slots[slot] != 0; slot = (slot + 1) % tableSlots {
		if n := int(t.slots[slot]) - 1; t.folded[n] == f.name {
			return n
		}
	}
	return -1
}

// Has reports whether the table has a name that equals name if case is ignored.
func (t *Table) Has(name string) bool { return t.find(fold(name)) >= 0 }

// CaseError is returned by [Table.Read] for a member whose name differs from a
// name of the table only in case. Its value is the name of the table.
type CaseError string

// Error names the member.
func (e CaseError) Error() string { return "strictjson: member " + string(e) + " is in another case" }

// Read reads the JSON object in text. It stores the raw value of the member with the
// nth name of the table in *values[n], and does not change *values[n] if the object
// has no such member. Several names may share a pointer. It skips members that the
// table does not name. It panics unless len(values) is the number of names.
//
// A member whose name differs from one of the table only in case is an error, because a
// parser that ignores case would confuse them.
func (t *Table) Read(text string, limits Limits, values ...*string) error {
	if len(values) != len(t.names) {
		panic("strictjson: Table.Read: wrong number of values")
	}
	return read(text, limits, func(name string, f folded, value string) error {
		if n := t.find(f); n >= 0 {
			if t.names[n] != name {
				return CaseError(t.names[n])
			}
			*values[n] = value
		}
		return nil
	})
}

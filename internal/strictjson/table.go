// SPDX-License-Identifier: Apache-2.0

package strictjson

// Table lists the members of an object that its reader knows. It is immutable
// and safe for concurrent use.
type Table struct {
	names  []string
	exact  map[string]int
	folded map[string]int
}

// NewTable makes a table of names. It panics if two names differ only in case.
func NewTable(names ...string) *Table {
	t := &Table{names: names, exact: make(map[string]int), folded: make(map[string]int)}
	for n, name := range names {
		if t.Has(name) {
			panic("strictjson: NewTable: duplicate name " + name)
		}
		t.exact[name], t.folded[Fold(name)] = n, n
	}
	return t
}

// Has reports whether the table has a name that equals name, also if only their
// case differs.
func (t *Table) Has(name string) bool {
	_, ok := t.folded[Fold(name)]
	return ok
}

// CaseError is returned by [Table.Read] for a member whose name differs from a
// name of the table only in case. Its value is the name of the table.
type CaseError string

// Error names the member.
func (e CaseError) Error() string { return "strictjson: member " + string(e) + " is in another case" }

// Read reads the object text and stores the raw value of every member that the
// table names: that of its nth name in values[n], which stays as it is if the
// object has no such member. Other members are skipped.
//
// A member whose name differs from one of the table only in case is an error,
// because a reader that ignores case would take the one for the other.
func (t *Table) Read(text string, limits Limits, values []string) error {
	return Object(text, limits, func(name, value string) error {
		if n, ok := t.exact[name]; ok {
			values[n] = value
			return nil
		}
		if n, ok := t.folded[Fold(name)]; ok {
			return CaseError(t.names[n])
		}
		return nil
	})
}

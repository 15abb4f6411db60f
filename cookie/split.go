// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"strconv"
	"strings"
)

// A sealed value that does not fit into one cookie is split: into the cookie
// itself and into name.1, name.2 and name.3. The first begins with a digit that
// says how many there are. All but the last are as long as they can be, so that
// there is one way to split a value, and what was moved between parts is seen.

// room returns how much of a value fits into part i.
func room(name string, i int) int {
	if i == 0 {
		return maxOctets - len(name) - 1 // the count
	}
	return maxOctets - len(partName(name, i))
}

// partName returns the name of part i.
func partName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "." + strconv.Itoa(i)
}

// split returns the values of the cookies that text is split into, or
// [ErrTooLarge] if there are more than four.
func split(name, text string) ([]string, error) {
	parts := make([]string, 0, maxParts)
	for i := range maxParts {
		size := min(len(text), room(name, i))
		parts = append(parts, text[:size])
		if text = text[size:]; text == "" {
			parts[0] = strconv.Itoa(len(parts)) + parts[0]
			return parts, nil
		}
	}
	return nil, ErrTooLarge
}

// join returns the text that was split into what is found, and false if it
// cannot have been split like that. Parts beyond the count are left over from a
// larger value and say nothing.
func join(name string, f *found) (string, bool) {
	first := f.values[0]
	if first == "" || first[0] < '1' || first[0] > '0'+maxParts {
		return "", false
	}
	count := int(first[0] - '0')
	f.values[0] = first[1:]
	for i, part := range f.values[:count] {
		size := room(name, i)
		last := i == count-1
		switch {
		case part == "", len(part) > size, !last && len(part) < size:
			return "", false
		}
	}
	return strings.Join(f.values[:count], ""), true
}

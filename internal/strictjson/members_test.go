// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// wide returns an object of n members.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// hasDuplicate compares every two names of every object of a JSON text.
func hasDuplicate(text string) bool {
	decoder := json.NewDecoder(strings.NewReader(text))
	open := [][]string{nil} // the names of the open objects
	for name := false; ; {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		name = !name
		switch token {
		case json.Delim('{'):
			open, name = append(open, nil), false
		case json.Delim('}'):
			open, name = open[:len(open)-1], false
		default:
			if !name {
				continue
			}
			names := open[len(open)-1]
			folded := strictjson.Fold(token.(string))
			if slices.Contains(names, folded) {
				return true
			}
			open[len(open)-1] = append(names, folded)
		}
	}
}

// Object finds the same duplicates as a comparison of every two names, whatever the
// number, the order, the case and the nesting of the members.
//
// Covers RFC 7515 §4; RFC 7519 §4 (unique).
func TestDuplicatesAreFound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	limits := strictjson.Limits{Depth: 4, Members: 5000}
	var object func(size, depth int) string
	object = func(size, depth int) string {
		var members []string
		for n := range random.IntN(size) + 1 {
			name, value := fmt.Sprintf("name%d", n), "1"
			switch random.IntN(size) {
			case 0: // maybe a duplicate
				name = fmt.Sprintf([]string{"name%d", "NAME%d", "ﬁ%d", "naſe%d"}[random.IntN(4)], random.IntN(n+2))
			case 1:
				if depth < 4 {
					value = object(size, depth+1)
				}
			}
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	accepted := 0
	for n := range 2000 {
		text := object([]int{5, 30, 36, 70, 300}[n%5], 1)
		err := strictjson.Object(text, limits, nil)
		if duplicate := hasDuplicate(text); (err != nil) != duplicate {
			t.Fatalf("Object(%s) error = %v, want duplicate %t", text, err, duplicate)
		} else if !duplicate {
			accepted++
		}
	}
	for _, size := range []int{70, 300} { // each place, with a list of names, a table and a larger table
		for n := range size {
			text := fmt.Sprintf(`%s,"m%d":1}`, strings.TrimSuffix(wide(size), "}"), n)
			if err := strictjson.Object(text, limits, nil); err == nil {
				t.Errorf("Object(%d members, and number %d again) error = nil, want one", size, n)
			}
		}
	}
	longest, beginnings := fmt.Sprint(random.Perm(200)), []string(nil) // each begins all before it
	for n := range 300 {
		beginnings = append(beginnings, fmt.Sprintf(`"%s":1`, longest[:300-n]))
	}
	if err := strictjson.Object("{"+strings.Join(beginnings, ",")+"}", limits, nil); err != nil {
		t.Errorf("Object(names that begin with later ones) error = %v, want nil", err)
	}
	if accepted < 500 || accepted > 1600 {
		t.Errorf("%d of 2000 texts have no duplicate, want a mix", accepted)
	}
}

// BenchmarkObject shows that the time is linear in the number of members.
func BenchmarkObject(b *testing.B) {
	for _, n := range []int{10, 32, 100, 300, 1000, 3000} {
		text := wide(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := strictjson.Object(text, strictjson.Limits{Depth: 1, Members: n}, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/member")
		})
	}
}

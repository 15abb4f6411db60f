// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"strings"
)

// encodings are strings that are not text. A parser that puts U+FFFD for what
// it cannot read makes two subjects one.
func encodings(k *kit) {
	k.row = "not UTF-8"
	for _, test := range []struct{ name, text string }{
		{"a byte FF", "\xff"},
		{"a continuation alone", "\x80"},
		{"cut", "\xe2\x82"},
		{"overlong", "\xc0\xaf"},
		{"a surrogate", "\xed\xa0\x80"},
		{"beyond U+10FFFF", "\xf4\x90\x80\x80"},
	} {
		k.signed(test.name+" in sub", k.header(), k.claims().set("sub", `"alice`+test.text+`"`))
		k.signed(test.name+" in a private claim", k.header(), k.claims().append(`"x"`, `"`+test.text+`"`))
	}
	k.signed("in a name", k.header(), k.claims().append("\"x\xff\"", "1"))
	k.signed("in an array", k.header(), k.claims().append(`"x"`, "[[\"\xff\"]]"))
	k.signed("in the header", k.header().append(`"x"`, "\"\xff\""), k.claims())
	k.signed("in a name of the header", k.header().append("\"x\xff\"", "1"), k.claims())

	k.row = "lone surrogate"
	for _, test := range []struct{ name, text string }{
		{"high", `\ud800`},
		{"low", `\udc00`},
		{"the wrong way round", `\udc00\ud800`},
		{"high before a letter", `\ud800x`},
		{"high before another escape", `\ud800\u0041`},
		{"two high", `\ud800\ud800`},
	} {
		k.signed(test.name+", sub", k.header(), k.claims().set("sub", `"alice`+test.text+`"`))
		k.signed(test.name+", private claim", k.header(), k.claims().append(`"x"`, `"`+test.text+`"`))
	}
	k.signed("in a name", k.header(), k.claims().append(`"x\ud800"`, "1"))
	k.signed("in an object", k.header(), k.claims().append(`"x"`, `{"y":"\ud800"}`))
	k.signed("in the header", k.header().append(`"x"`, `"\ud800"`), k.claims())
}

// deep nests until a recursive parser gives up, or its stack does.
func deep(k *kit) {
	k.row = "depth"
	for _, depth := range []int{100, 500, 2400, 9990, 100_000} {
		k.signed(fmt.Sprintf("%d arrays", depth), k.header(),
			k.claims().append(`"x"`, strings.Repeat("[", depth)+strings.Repeat("]", depth)))
	}
	for _, depth := range []int{100, 500, 9990} {
		k.signed(fmt.Sprintf("%d objects", depth), k.header(),
			k.claims().append(`"x"`, strings.Repeat(`{"x":`, depth)+"1"+strings.Repeat("}", depth)))
	}
	k.signed("100 arrays in the header",
		k.header().append(`"x"`, strings.Repeat("[", 100)+strings.Repeat("]", 100)), k.claims())
	k.signedText("2000 arrays that do not end", k.header().String(), `{"x":`+strings.Repeat("[", 2000))
}

// wide has more members than any real token.
func wide(k *kit) {
	k.row = "width"
	var more object
	for n := range 500 {
		more = append(more, member{fmt.Sprintf(`"%x"`, n+0x100), "1"})
	}
	k.signed("500 claims", k.header(), append(k.claims(), more...))
	inside := make([]string, 500)
	for n := range inside {
		inside[n] = fmt.Sprintf(`"%x":1`, n)
	}
	k.signed("500 members inside", k.header(), k.claims().append(`"x"`, "{"+strings.Join(inside, ",")+"}"))
	k.signed("2000 elements", k.header(), k.claims().append(`"x"`, "[1"+strings.Repeat(",1", 2000)+"]"))
	k.signed("500000 elements", k.header(), k.claims().append(`"x"`, "[1"+strings.Repeat(",1", 500_000)+"]"))
}

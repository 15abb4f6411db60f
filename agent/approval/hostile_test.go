// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

// hostile is text that tries to be something else on a page.
var hostile = []string{
	`</pre><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `<form action="https://evil.example"><button>Approve</button>`, `{{.Style}}`, `</style><style>*{}`,
	"safe\u202egpj.exe", "\u2066a\u2069", "zero\u200bwidth", "\u00ad", "line\u2028separator\u2029", "\x00\x07\x1b[2J\x7f", "a\r\nb\tc", "\u00a0\u3000", "\ufeff", "\U000e0041tag",
	"\ufe0fvariation", "\u3164hangul filler", "\u2800braille blank", "\ue000private", "\u0378unassigned", "z" + strings.Repeat("\u0301", 50) + "algo", "\u115f", "\ufffd",
}

var tag = regexp.MustCompile(`<[^>]*>`)

// TestHostileTextIsShownAsEscapes puts hostile text into every part of the page that
// comes from outside.
func TestHostileTextIsShownAsEscapes(t *testing.T) {
	a := newApprovals(t, nil)
	alice := person("alice")
	for _, text := range hostile {
		for _, form := range []string{`{%[1]s:1}`, `{"text":%[1]s}`, `{"deep":{"list":[%[1]s]}}`} {
			call := profileWith(fmt.Sprintf(form, quotedOf(text)))
			call.Tool = strings.Map(func(r rune) rune {
				if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
					return -1
				}
				return r
			}, text) + "."
			call.Version = call.Tool
			asked := request(t, a, call, approval.Rule{Consent: true})
			list := exchange{method: "GET", path: "/approvals", caller: alice}.do(a).Body.String()
			if w := postForm("/approvals/"+asked.ID, alice, map[string][]string{"decision": {"deny"}, "reason": {text}}).do(a); w.Code != 303 {
				t.Fatalf("POST = %d, want 303", w.Code)
			}
			page := exchange{method: "GET", path: "/approvals/" + asked.ID, caller: alice}.do(a).Body.String()
			for _, body := range []string{list, page} {
				for _, r := range body {
					if r != '\n' && r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)) {
						t.Errorf("%q: the page has the character %U", text, r)
					}
				}
				if n := strings.Count(body, "<script") + strings.Count(body, "<img") + strings.Count(body, "evil.example\"><") + strings.Count(body, "<style"); n != 1 {
					t.Errorf("%q: the page has %d foreign elements", text, n-1)
				}
				if strings.Count(body, "\u0301") > 3*6 {
					t.Errorf("%q: the page has piles of combining marks", text)
				}
			}
			// A reader sees the text, with escapes for what has no shape.
			shown := html.UnescapeString(tag.ReplaceAllString(page, ""))
			plain := strings.FieldsFunc(text, func(r rune) bool {
				return !unicode.IsPrint(r) || unicode.In(r, unicode.M, unicode.Other_Default_Ignorable_Code_Point) || r > 0x2000 && r != '\ufffd'
			})
			for _, part := range plain {
				if !strings.Contains(shown, part) && !strings.Contains(shown, strings.Trim(string(quotedOf(part)), `"`)) {
					t.Errorf("%q: the page does not show %q", text, part)
				}
			}
		}
	}
	for text, want := range map[string]string{
		"a\u202eb": `a<b class="esc">\u202e</b>b`, "\U000e0041": `<b class="esc">\U000e0041</b>`, "\t": `<b class="esc">\t</b>`, "\r": `<b class="esc">\r</b>`,
		"a\nb": "a<b class=\"esc lf\">\\n</b>\nb", "\ufffd": "\ufffd", "<": "&lt;",
		"\ufe0f": `<b class="esc">\ufe0f</b>`, "e\u0301e\u0301e\u0301e\u0301": "e\u0301e\u0301e\u0301e\u0301",
		"\u2800": `<b class="esc">\u2800</b>`, "e\u0301\u0301\u0301": "e\u0301\u0301\u0301", "e\u0301\u0301\u0301\u0301": "e\u0301\u0301\u0301" + `<b class="esc">\u0301</b>`,
		"e\u20dd\u20dd\u20dd\u20dd": "e\u20dd\u20dd\u20dd" + `<b class="esc">\u20dd</b>`, "\a": `<b class="esc">\u0007</b>`, "\uffff": `<b class="esc">\uffff</b>`,
	} {
		asked := request(t, a, profileWith(`{"text":`+string(quotedOf(text))+`}`), approval.Rule{Consent: true})
		if body := (exchange{method: "GET", path: "/approvals/" + asked.ID, caller: alice}).do(a).Body.String(); !strings.Contains(body, `<pre>`+want+`</pre>`) {
			t.Errorf("the page of %q does not show %q", text, want)
		}
	}
	// The name of a caller comes from its issuer, and may be no UTF-8.
	if list := (exchange{method: "GET", path: "/approvals", caller: person("a\xffb\ufffdc\xfe")}).do(a).Body.String(); !strings.Contains(list, `<span>a<b class="esc">\xff</b>b`+"\ufffd"+`c<b class="esc">\xfe</b></span>`) {
		t.Errorf("the page does not show the caller: %s", list)
	}
}

// The list shows the beginning of long arguments, up to a whole character.
func TestPreviewEndsWithACharacter(t *testing.T) {
	a := newApprovals(t, nil)
	request(t, a, profileWith(`{"texts":"`+strings.Repeat("a", 108)+`"}`), approval.Rule{Consent: true}) // 120 bytes
	if list := (exchange{method: "GET", path: "/approvals", caller: person("alice")}).do(a).Body.String(); strings.Contains(list, "…") {
		t.Errorf("the list does not show all of short arguments: %s", list)
	}
	request(t, a, profileWith(`{"texts":"`+strings.Repeat("☂", 100)+`"}`), approval.Rule{Consent: true})
	if list := (exchange{method: "GET", path: "/approvals", caller: person("alice")}).do(a).Body.String(); !strings.Contains(list, "☂…") {
		t.Errorf("the list does not show the beginning of the arguments: %s", list)
	}
}

func quotedOf(s string) []byte { return must(json.Marshal(s)) }

// Ten megabytes are shown in parts, each of them small.
func TestLongArgumentsAreShownInParts(t *testing.T) {
	a := newApprovals(t, func(c *approval.Config) { c.MaxArguments = 16 << 20 })
	alice := person("alice")
	size := 10 << 20
	if racetest.Enabled {
		size = 1 << 20 // the detector makes it ten times slower
	}
	text := strings.Repeat("0123456789 <\u202e>☂ ", size/20) + "THE END"
	asked := request(t, a, profileWith(`{"a":[1,2,3],"b":`+string(quotedOf(text))+`,"c":"LAST"}`), approval.Rule{Consent: true})
	get := func(part string) string {
		body := (exchange{method: "GET", path: "/approvals/" + asked.ID + part, caller: alice}).do(a).Body.String()
		if len(body) > 1<<20 {
			t.Errorf("part %q has %d bytes, want at most 1 MiB", part, len(body))
		}
		return body
	}
	first := get("")
	count := regexp.MustCompile(`You see part 1 of (\d+)`).FindStringSubmatch(first)
	if count == nil || strings.Contains(first, "THE END") {
		t.Fatalf("the first part does not say how many there are:\n%.2000s", first)
	}
	if last := get("?part=" + count[1]); !strings.Contains(last, "THE END") || !strings.Contains(last, "LAST") {
		t.Error("the last part lacks the end")
	}
	if beyond := get("?part=999999999"); !strings.Contains(beyond, "THE END") {
		t.Error("a part beyond the last one is not the last one")
	}
	if list := (exchange{method: "GET", path: "/approvals", caller: alice}).do(a).Body.Len(); list > 64<<10 {
		t.Errorf("the list has %d bytes, want a preview of the arguments", list)
	}

	// Every character is in one of the parts, in order.
	short := strings.Repeat("☂é1<", 16<<10)
	list := `[` + strings.Repeat(`1,`, 8<<10) + `1]`
	var lines bytes.Buffer
	must(0, json.Indent(&lines, []byte(list), "", "  "))
	asked = request(t, a, profileWith(`{"a":`+string(quotedOf(short))+`,"b":`+string(quotedOf(short))+`,"c":`+list+`}`), approval.Rule{Consent: true})
	parts := 2*len(short)/(16<<10) + (lines.Len()+16<<10-1)/(16<<10)
	for part, links := range map[string][]string{"": {"2"}, "?part=-1": {"2"}, "?part=2": {"1", "3"}, fmt.Sprint("?part=", parts): {fmt.Sprint(parts - 1)}} {
		var got []string
		for _, link := range regexp.MustCompile(`\?part=(\d+)"`).FindAllStringSubmatch(get(part), -1) {
			got = append(got, link[1])
		}
		if !slices.Equal(got, links) {
			t.Errorf("part %q has links to the parts %q, want %q", part, got, links)
		}
	}
	var shown strings.Builder
	for part := range parts {
		for _, match := range regexp.MustCompile(`(?s)<pre>(.*?)</pre>`).FindAllStringSubmatch(get(fmt.Sprint("?part=", part+1)), -1) {
			shown.WriteString(html.UnescapeString(match[1]))
		}
	}
	if want := short + short + lines.String(); shown.String() != want {
		t.Errorf("the parts show %d bytes, want the %d of the arguments", shown.Len(), len(want))
	}
	if n := strings.Count(get("?part=2"), "<pre>"); n != 1 {
		t.Errorf("part 2 shows %d arguments, want the one that it has a part of", n)
	}
}

// An agent and a person with one name at two issuers are not the same.
func TestPageTellsNamesakesApart(t *testing.T) {
	a := newApprovals(t, nil)
	call := profile()
	call.Subject.Subject = call.Actor.Subject
	asked := request(t, a, call, approval.Rule{Consent: true})
	page := (exchange{method: "GET", path: "/approvals/" + asked.ID, caller: person(call.Subject.Subject)}).do(a).Body.String()
	if !strings.Contains(page, "<dt>For</dt>") || !strings.Contains(page, people) {
		t.Errorf("the page does not say for whom the call is:\n%s", page)
	}
}

func TestArgumentsWithManyMembers(t *testing.T) {
	a := newApprovals(t, nil)
	many, most := make(map[string]int), make(map[string]int)
	for i := range 200 {
		if many[fmt.Sprint("n", i)] = 1; i < 64 {
			most[fmt.Sprint("n", i)] = 1
		}
	}
	for name, test := range map[string]struct{ arguments, want string }{
		"none": {`{}`, "without arguments"}, "many": {string(must(json.Marshal(many))), "&#34;n199&#34;: 1"}, "empty name": {`{"":"value"}`, "&#34;&#34;: &#34;value&#34;"},
		"most": {string(must(json.Marshal(most))), "<div>n63</div><pre>1</pre>"}, "line feed in a name": {`{"a\nb":1}`, `<div>a<b class="esc">\n</b>b</div>`},
		"long name": {`{"` + strings.Repeat("n", 121) + `":1}`, strings.Repeat("n", 121) + "&#34;: 1"}, "longest name": {`{"` + strings.Repeat("n", 120) + `":1}`, strings.Repeat("n", 120) + "</div><pre>1</pre>"},
		"long name before another": {`{"` + strings.Repeat("n", 121) + `":1,"z":2}`, "&#34;z&#34;: 2"}, "empty text": {`{"a":""}`, "&#34;&#34;</pre>"},
	} {
		asked := request(t, a, profileWith(test.arguments), approval.Rule{Consent: true})
		body := (exchange{method: "GET", path: "/approvals/" + asked.ID, caller: person("alice")}).do(a).Body.String()
		if !strings.Contains(body, test.want) {
			t.Errorf("%s: the page does not show %q:\n%s", name, test.want, body)
		}
	}
}

// A decision is recorded also if its decider hangs up at once.
func TestDecisionOfACallerThatHangsUpIsRecorded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := newApprovals(t, func(c *approval.Config) {
		c.Store = &store{Store: approval.NewMemory(0), after: cancel}
		c.Observer = gatehouse.ObserverFunc(func(ctx context.Context, _ gatehouse.Event) error { return ctx.Err() })
	})
	asked := request(t, a, profile(), approval.Rule{Consent: true})
	if _, err := a.Decide(ctx, person("alice"), asked.ID, true, ""); err != nil {
		t.Errorf("Decide error = %v, want nil", err)
	}
}

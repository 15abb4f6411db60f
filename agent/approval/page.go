// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

const (
	partSize   = 16 << 10 // bytes of arguments that one page shows
	maxMembers = 64       // of arguments that are shown one by one
	maxPreview = 120      // bytes of arguments in the list
)

var (
	//go:embed style.css
	style string
	//go:embed page.html
	pageText string

	pageTemplate = template.Must(template.New("page").Parse(pageText))

	// contentSecurityPolicy allows the style of the page and its form.
	contentSecurityPolicy = func() string {
		sum := sha256.Sum256([]byte(style))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	}()
)

// view is the content of a page: the list, one approval or a refusal.
type view struct {
	Style   template.CSS
	Path    string // of the list
	Caller  template.HTML
	Tenant  template.HTML
	Title   string
	List    []entry
	One     *entry
	Message string
	Count   int
}

// entry is one approval as a page shows it.
type entry struct {
	Href, ID                       string
	Status                         Status
	Actor, Subject, Tool, Version  template.HTML
	ActorIssuer, SubjectIssuer     template.HTML
	Own                            bool // the actor is the subject
	Consent                        bool
	Preview                        template.HTML
	Members                        []member
	Parts, Part, Previous, Next    int
	Bytes                          int
	Digest                         string
	Expires, Left, Created         string
	Approvals, Needed              int
	Decisions                      []decided
	MayDecide, HasDecided, Waiting bool
}

// member is one member of the arguments, or a part of it.
type member struct {
	Name, Value template.HTML
	IsJSON      bool
}

type decided struct {
	Decider, Comment template.HTML
	Approve          bool
	Time             string
}

func (x *exchange) page(status int, v view) {
	v.Style, v.Path = template.CSS(style), x.path //nolint:gosec // it is embedded
	v.Caller, v.Tenant = visible(x.caller.Subject, false), visible(x.caller.Tenant, false)
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		panic(err) // a defect of the template
	}
	x.body(status, "text/html; charset=utf-8", page.Bytes())
}

func (x *exchange) listPage(found []Approval) view {
	v := view{Title: "Waiting for you", Count: len(found)}
	for _, a := range found {
		e := x.entry(a)
		preview := cmp.Or(a.Arguments, "The arguments are long. Open the approval to read them.")
		if len(preview) > maxPreview {
			preview = strings.ToValidUTF8(preview[:maxPreview], "") + "…"
		}
		e.Preview = visible(preview, false)
		v.List = append(v.List, e)
	}
	return v
}

func (x *exchange) approvalPage(a Approval) view {
	e := x.entry(a)
	part, _ := strconv.Atoi(x.r.URL.Query().Get("part"))
	all := argumentsOf(a.Arguments)
	total := 0
	for _, argument := range all {
		total += len(argument.value)
	}
	e.Parts = max(1, (total+partSize-1)/partSize)
	e.Part = min(max(part, 1), e.Parts)
	e.Previous, e.Next = e.Part-1, e.Part+1
	e.Members = window(all, (e.Part-1)*partSize, e.Part*partSize)
	for _, d := range a.Decisions {
		e.Decisions = append(e.Decisions, decided{visible(d.Decider.Subject, false), visible(d.Comment, true), d.Approve, clock(d.Time)})
	}
	e.MayDecide = e.Status == Pending && MayDecide(x.caller, a)
	e.HasDecided = a.Decided(x.caller.Key())
	return view{Title: "Approval", One: &e}
}

func (x *exchange) refusalPage(code gatehouse.Code) view {
	switch code.Status() {
	case http.StatusNotFound:
		return view{Title: "There is no such approval", Message: "It may have expired, or belong to another tenant."}
	case http.StatusConflict:
		return view{Title: "This approval is closed", Message: "It is decided, used or expired, or you have decided already. Nothing was changed."}
	case http.StatusForbidden:
		return view{Title: "You cannot decide on this", Message: "Another person decides on this call, or the request came from another site. Nothing was changed."}
	case http.StatusServiceUnavailable:
		return view{Title: "Not possible at the moment", Message: "A server that is needed did not answer. Look at the approval before you decide again."}
	}
	return view{Title: "This request was not understood", Message: "Nothing was changed. Go back and try again."}
}

// entry returns the data of an approval for both pages.
func (x *exchange) entry(a Approval) entry {
	left := a.Expires.Sub(a.AsOf)
	e := entry{
		Href: x.path + "/" + url.PathEscape(a.ID), ID: a.ID, Status: a.Status(),
		Actor: visible(a.Actor.Subject, false), ActorIssuer: visible(a.Actor.Issuer, false),
		Subject: visible(a.Subject.Subject, false), SubjectIssuer: visible(a.Subject.Issuer, false),
		Tool: visible(a.Tool, false), Version: visible(a.Version, false),
		Own: a.Actor == a.Subject, Consent: a.Consent, Bytes: len(a.Arguments), Digest: sum(a.Arguments),
		Created: clock(a.Created), Expires: clock(a.Expires), Needed: a.count(),
		Waiting: a.Status() == Pending || a.Status() == Approved,
	}
	for _, d := range a.Decisions {
		if d.Approve {
			e.Approvals++
		}
	}
	switch {
	case left >= 2*time.Hour:
		e.Left = fmt.Sprintf("in %d hours", left/time.Hour)
	case left >= 2*time.Minute:
		e.Left = fmt.Sprintf("in %d minutes", left/time.Minute)
	case left > 0:
		e.Left = fmt.Sprintf("in %d seconds", max(1, left/time.Second))
	}
	return e
}

func clock(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }

// argument is the value of one member of canonical arguments: the text of a string, or
// indented JSON.
type argument struct {
	name, value string
	isJSON      bool
}

// argumentsOf returns the members of canonical arguments. Arguments with many members
// or long names are one value.
func argumentsOf(arguments string) []argument {
	var all []argument
	whole := false
	err := strictjson.Object(arguments, limits, func(name, value string) error {
		a := argument{name: name}
		if a.value, _ = strictjson.String(value); a.value == "" {
			a.value, a.isJSON = indented(value), true
		}
		all = append(all, a)
		whole = whole || name == "" || len(name) > maxPreview || len(all) > maxMembers
		return nil
	})
	if err != nil || whole {
		return []argument{{value: indented(arguments), isJSON: true}}
	}
	return all
}

func indented(value string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(value), "", "  ") != nil {
		return value
	}
	return b.String()
}

// window returns the parts of the values within a range of bytes. It cuts between
// characters.
func window(all []argument, from, to int) []member {
	var members []member
	offset := 0
	for _, a := range all {
		start, end := boundary(a.value, from-offset), boundary(a.value, to-offset)
		if start < end {
			m := member{Name: visible(a.name, false), IsJSON: a.isJSON}
			if a.isJSON { // its line feeds come from the indentation
				lines := strings.Split(a.value[start:end], "\n")
				for i, line := range lines {
					lines[i] = string(visible(line, false))
				}
				m.Value = template.HTML(strings.Join(lines, "\n")) //nolint:gosec // visible has escaped it
			} else {
				m.Value = visible(a.value[start:end], true)
			}
			members = append(members, m)
		}
		offset += len(a.value)
	}
	return members
}

// boundary returns the first beginning of a character at or after i, within s.
func boundary(s string, i int) int {
	i = min(max(i, 0), len(s))
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return i
}

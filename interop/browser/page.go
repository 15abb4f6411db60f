// SPDX-License-Identifier: Apache-2.0

package browser

import "testing"

// Answer is where a navigation has led. The status is 0 if nothing was loaded.
type Answer struct {
	URL    string
	Status int
}

func (p *Page) navigate(t testing.TB, verb string, a arguments) Answer {
	t.Helper()
	var answer Answer
	p.call(t, verb, a, &answer)
	return answer
}

// Visit goes to an address, as a person who types it.
func (p *Page) Visit(t testing.TB, url string) Answer {
	t.Helper()
	return p.navigate(t, "visit", arguments{"url": url})
}

// Back is the back button. The page may come from the back/forward cache, and
// the status is not known.
func (p *Page) Back(t testing.TB) Answer {
	t.Helper()
	return p.navigate(t, "history", arguments{"step": -1})
}

// Forward is the forward button.
func (p *Page) Forward(t testing.TB) Answer {
	t.Helper()
	return p.navigate(t, "history", arguments{"step": 1})
}

// Fill writes into a field.
func (p *Page) Fill(t testing.TB, selector, text string) {
	t.Helper()
	p.do(t, "fill", arguments{"selector": selector, "text": text})
}

// Check ticks a box.
func (p *Page) Check(t testing.TB, selector string) {
	t.Helper()
	p.do(t, "check", arguments{"selector": selector})
}

// Click clicks, and waits for nothing.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	p.do(t, "click", arguments{"selector": selector})
}

// Submit clicks and waits for the page that comes of it.
func (p *Page) Submit(t testing.TB, selector string) Answer {
	t.Helper()
	return p.navigate(t, "submit", arguments{"selector": selector})
}

// Hold keeps the tab from going to addresses that match, in which * stands for
// anything, even where it is redirected there. An empty pattern ends that.
func (p *Page) Hold(t testing.TB, pattern string) {
	t.Helper()
	p.do(t, "hold", arguments{"pattern": pattern})
}

// VisitHeld goes to an address and returns the one that the tab is kept from.
func (p *Page) VisitHeld(t testing.TB, url string) (held string) {
	t.Helper()
	return p.navigate(t, "held", arguments{"url": url}).URL
}

// SubmitHeld clicks and returns the address that the tab is kept from.
func (p *Page) SubmitHeld(t testing.TB, selector string) (held string) {
	t.Helper()
	return p.navigate(t, "held", arguments{"selector": selector}).URL
}

// Strip takes a header off the responses to addresses that match.
func (p *Page) Strip(t testing.TB, pattern, header string) {
	t.Helper()
	p.do(t, "strip", arguments{"pattern": pattern, "header": header})
}

// Text is what a person sees of the elements that match.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	var a struct{ Text string }
	p.call(t, "text", arguments{"selector": selector}, &a)
	return a.Text
}

// Run evaluates JavaScript in the page and returns its value as JSON. It waits
// for a promise.
func (p *Page) Run(t testing.TB, script string) string {
	t.Helper()
	var a struct{ Result string }
	p.call(t, "run", arguments{"script": script}, &a)
	return a.Result
}

// Until waits until a JavaScript expression is true in the page.
func (p *Page) Until(t testing.TB, script string) {
	t.Helper()
	p.do(t, "until", arguments{"script": script})
}

// Frame is a frame of a page, with what a person sees in it.
type Frame struct{ URL, Text string }

// Frames are those of the page.
func (p *Page) Frames(t testing.TB) []Frame {
	t.Helper()
	var a struct{ Frames []Frame }
	p.call(t, "frames", nil, &a)
	return a.Frames
}

// Memory is every string in the memory of the scripts of the page, each cut to
// about 1,000 characters.
func (p *Page) Memory(t testing.TB) []string {
	t.Helper()
	var a struct{ Strings []string }
	p.call(t, "memory", nil, &a)
	return a.Strings
}

// Dark sets whether the person likes dark pages.
func (p *Page) Dark(t testing.TB, dark bool) {
	t.Helper()
	p.do(t, "dark", arguments{"dark": dark})
}

// Size sets the size of the window in pixels: 1100 by 800 at first.
func (p *Page) Size(t testing.TB, width, height int) {
	t.Helper()
	p.do(t, "size", arguments{"width": width, "height": height})
}

// Screenshot writes a picture of the whole page.
func (p *Page) Screenshot(t testing.TB, path string) {
	t.Helper()
	p.do(t, "screenshot", arguments{"path": path})
}

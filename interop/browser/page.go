// SPDX-License-Identifier: Apache-2.0

package browser

import "testing"

// Answer is the result of a navigation. The status is 0 if nothing was loaded.
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

// Visit opens an address, as if typed.
func (p *Page) Visit(t testing.TB, url string) Answer {
	t.Helper()
	return p.navigate(t, "visit", arguments{"url": url})
}

// Back presses the back button. The page may come from the back/forward cache, and
// the status is unknown.
func (p *Page) Back(t testing.TB) Answer {
	t.Helper()
	return p.navigate(t, "history", arguments{"step": -1})
}

// Forward presses the forward button.
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

// Click clicks and does not wait.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	p.do(t, "click", arguments{"selector": selector})
}

// Submit clicks and waits for the navigation.
func (p *Page) Submit(t testing.TB, selector string) Answer {
	t.Helper()
	return p.navigate(t, "submit", arguments{"selector": selector})
}

// Hold blocks navigations and redirects of the tab to matching addresses; * matches
// any text. An empty pattern ends that.
func (p *Page) Hold(t testing.TB, pattern string) {
	t.Helper()
	p.do(t, "hold", arguments{"pattern": pattern})
}

// VisitHeld opens an address and returns the blocked one to which it leads.
func (p *Page) VisitHeld(t testing.TB, url string) (held string) {
	t.Helper()
	return p.navigate(t, "held", arguments{"url": url}).URL
}

// SubmitHeld clicks and returns the blocked address to which that leads.
func (p *Page) SubmitHeld(t testing.TB, selector string) (held string) {
	t.Helper()
	return p.navigate(t, "held", arguments{"selector": selector}).URL
}

// Strip removes a header from the responses of matching addresses.
func (p *Page) Strip(t testing.TB, pattern, header string) {
	t.Helper()
	p.do(t, "strip", arguments{"pattern": pattern, "header": header})
}

// Text returns the visible text of the matching elements.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	var a struct{ Text string }
	p.call(t, "text", arguments{"selector": selector}, &a)
	return a.Text
}

// Run evaluates a JavaScript expression on the page, awaits its value and returns
// it as JSON.
func (p *Page) Run(t testing.TB, script string) string {
	t.Helper()
	var a struct{ Result string }
	p.call(t, "run", arguments{"script": script}, &a)
	return a.Result
}

// Until waits until a JavaScript expression is true on the page.
func (p *Page) Until(t testing.TB, script string) {
	t.Helper()
	p.do(t, "until", arguments{"script": script})
}

// Frame is a frame of a page with its visible text.
type Frame struct{ URL, Text string }

// Frames returns the frames of the page.
func (p *Page) Frames(t testing.TB) []Frame {
	t.Helper()
	var a struct{ Frames []Frame }
	p.call(t, "frames", nil, &a)
	return a.Frames
}

// Memory returns all strings on the heap of the page's scripts, each cut to about
// 1,000 characters.
func (p *Page) Memory(t testing.TB) []string {
	t.Helper()
	var a struct{ Strings []string }
	p.call(t, "memory", nil, &a)
	return a.Strings
}

// Dark sets the preferred color scheme.
func (p *Page) Dark(t testing.TB, dark bool) {
	t.Helper()
	p.do(t, "dark", arguments{"dark": dark})
}

// Size sets the size of the window in pixels, at first 1100 by 800.
func (p *Page) Size(t testing.TB, width, height int) {
	t.Helper()
	p.do(t, "size", arguments{"width": width, "height": height})
}

// Screenshot writes a PNG of the whole page.
func (p *Page) Screenshot(t testing.TB, path string) {
	t.Helper()
	p.do(t, "screenshot", arguments{"path": path})
}

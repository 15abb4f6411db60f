// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"fmt"
	"strings"
	"time"
)

// kind is the kind of a window.
type kind = uint8

const (
	noWindow kind = iota
	minute
	day
	week
	month
	rolling
	life
)

var kindNames = [...]string{
	noWindow: "", minute: "minute", day: "day", week: "week", month: "month", rolling: "rolling_24h", life: "life",
}

// Window is the time over which a budget counts. The zero Window is invalid.
type Window struct {
	kind kind
	last time.Time      // of a Life window, zero for none
	loc  *time.Location // of a day, week or month
}

// Minute is a calendar minute.
func Minute() Window { return Window{kind: minute} }

// Day is a calendar day in the zone loc, from midnight to midnight. When the clock
// changes, a day has 22 to 26 hours. A nil loc is UTC.
func Day(loc *time.Location) Window { return calendar(day, loc) }

// Week is a calendar week in the zone loc. It begins on Monday.
func Week(loc *time.Location) Window { return calendar(week, loc) }

// Month is a calendar month in the zone loc.
func Month(loc *time.Location) Window { return calendar(month, loc) }

func calendar(k kind, loc *time.Location) Window {
	if loc == nil {
		loc = time.UTC
	}
	return Window{kind: k, loc: loc}
}

// Rolling24h is the last 24 hours, extended back to the beginning of an hour in UTC: it
// covers 24 to 25 hours.
func Rolling24h() Window { return Window{kind: rolling} }

// Life has no beginning. until is the expiry of the token or the session: some time after
// it the store removes the counter. If until is zero, the counter is kept forever.
func Life(until time.Time) Window {
	return Window{kind: life, last: until.UTC().Truncate(time.Microsecond)}
}

// ParseWindow returns the window for values of a configuration. name is minute, day,
// week, month or rolling_24h. zone is the IANA name of a time zone, "" for UTC. It
// rejects "Local", which may differ between nodes. The zone has no effect on minute and
// rolling_24h.
func ParseWindow(name, zone string) (Window, error) {
	loc, err := time.LoadLocation(zone)
	if zone == "Local" || err != nil {
		return Window{}, fmt.Errorf("budget: zone %q: must be the name of a time zone, such as Europe/Berlin", zone)
	}
	for k, known := range kindNames {
		switch k := kind(k); {
		case name != known || k == noWindow || k == life:
		case k == day || k == week || k == month:
			return calendar(k, loc), nil
		default:
			return Window{kind: k}, nil
		}
	}
	return Window{}, fmt.Errorf("budget: window %q: must be minute, day, week, month or rolling_24h", name)
}

// Name returns the kind of the window: minute, day, week, month, rolling_24h or life.
func (w Window) Name() string { return kindNames[w.kind] }

// String returns the name and, after an at sign, the zone unless it is UTC.
func (w Window) String() string {
	if w.loc == nil || w.loc == time.UTC {
		return w.Name()
	}
	return w.Name() + "@" + w.loc.String()
}

// parseWindow parses the result of String. It replaces a zone that only other processes
// know with UTC.
func parseWindow(text string) (Window, error) {
	name, zone, _ := strings.Cut(text, "@")
	if name == kindNames[life] {
		return Window{kind: life}, nil
	}
	if _, err := time.LoadLocation(zone); err != nil {
		zone = ""
	}
	return ParseWindow(name, zone)
}

// The bounds of all windows.
var (
	beginning = time.Unix(0, 0).UTC()
	forever   = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
)

const hour = time.Hour

// Span returns the window that contains at, from start, inclusive, to end, exclusive. For
// Rolling24h it is 25 hours long and ends at the end of an hour.
func (w Window) Span(at time.Time) (start, end time.Time) {
	switch w.kind {
	case minute:
		start = at.UTC().Truncate(time.Minute)
		return start, start.Add(time.Minute)
	case rolling:
		start = at.UTC().Truncate(hour)
		return start.Add(-24 * hour), start.Add(hour)
	case life:
		if w.last.IsZero() {
			return beginning, forever
		}
		return beginning, w.last
	case day, week, month:
		return w.calendar(at)
	}
	return time.Time{}, time.Time{}
}

// calendar returns the period that contains at. Its date is the local date, except where
// the clock is set back over midnight: there the local date is the next day for some
// minutes, and then the previous day again.
func (w Window) calendar(at time.Time) (start, end time.Time) {
	y, m, d := at.In(w.loc).Date()
	for {
		first := civil(y, m, d)
		switch w.kind {
		case week:
			first = first.AddDate(0, 0, -(int(first.Weekday())+6)%7)
		case month:
			first = civil(y, m, 1)
		}
		next := first.AddDate(0, 0, 1)
		switch w.kind {
		case week:
			next = first.AddDate(0, 0, 7)
		case month:
			next = first.AddDate(0, 1, 0)
		}
		start, end = midnight(first, w.loc), midnight(next, w.loc)
		switch {
		case at.Before(start):
			y, m, d = first.AddDate(0, 0, -1).Date()
		case !at.Before(end):
			y, m, d = next.Date()
		default:
			return start, end
		}
	}
}

// civil returns a date as the midnight of UTC, on which AddDate is exact.
func civil(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// midnight returns the first instant of a date in a zone.
//
// time.Date returns an instant of the day before if the clock skips midnight in a
// zone west of UTC, and in some zones the second midnight if there are two.
func midnight(date time.Time, loc *time.Location) time.Time {
	y, m, d := date.Date()
	at := time.Date(y, m, d, 0, 0, 0, 0, loc)
	before, after := at.ZoneBounds()
	if ly, lm, ld := at.Date(); civil(ly, lm, ld).Before(date) {
		return after.UTC()
	}
	if !before.IsZero() {
		_, offset := at.Zone()
		_, previous := before.Add(-1).Zone()
		if back := time.Duration(previous-offset) * time.Second; at.Sub(before) < back {
			at = at.Add(-back)
		}
	}
	return at.UTC()
}

// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

var calendars = map[string]func(*time.Location) budget.Window{"day": budget.Day, "week": budget.Week, "month": budget.Month}

// expected returns a window by the arithmetic of time.Date, which is right where
// midnight exists once.
func expected(name string, at time.Time) (start, end time.Time) {
	y, m, d := at.Date()
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, at.Location()) }
	switch name {
	case "day":
		return date(y, m, d), date(y, m, d+1)
	case "week":
		monday := d - (int(at.Weekday())+6)%7
		return date(y, m, monday), date(y, m, monday+7)
	default:
		return date(y, m, 1), date(y, m+1, 1)
	}
}

// TestWindows compares windows with the arithmetic of time.Date in zones whose clocks
// change at another time than midnight, at random instants, at month ends and around
// every change of a clock.
func TestWindows(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		loc := zone(t, name)
		var instants []time.Time
		for range 2000 {
			instants = append(instants, time.Unix(random.Int64N(2_000_000_000), random.Int64N(1e9)).In(loc))
		}
		for year := 2010; year < 2036; year++ {
			for month := range time.Month(12) {
				end := time.Date(year, month+2, 1, 0, 0, 0, 0, loc)
				instants = append(instants, end, end.Add(-1), end.Add(1))
			}
		}
		for at := time.Date(2010, 1, 1, 0, 0, 0, 0, loc); at.Year() < 2036; {
			_, change := at.ZoneBounds()
			if change.IsZero() {
				break
			}
			for _, d := range []time.Duration{-26 * time.Hour, -time.Hour, -1, 0, 1, time.Hour, 26 * time.Hour} {
				instants = append(instants, change.Add(d))
			}
			at = change
		}
		for kind, window := range calendars {
			w := window(loc)
			for _, at := range instants {
				start, end := w.Span(at)
				wantStart, wantEnd := expected(kind, at)
				if !start.Equal(wantStart) || !end.Equal(wantEnd) {
					t.Fatalf("%s in %s at %v: Span = %v, %v, want %v, %v", kind, name, at, start.In(loc), end.In(loc), wantStart, wantEnd)
				}
			}
		}
	}
}

// TestWindowsAtMissingAndDoubledMidnights checks zones whose clocks change at midnight:
// windows follow each other without gap, each contains its instants, and a day has 22
// to 26 hours and begins with its date.
func TestWindowsAtMissingAndDoubledMidnights(t *testing.T) {
	for _, name := range []string{
		"America/Sao_Paulo", "America/Havana", "America/Santiago", "Atlantic/Azores", "Africa/Cairo", "Asia/Beirut",
		"Asia/Gaza", "Asia/Hebron", "Asia/Amman", "America/St_Johns", "Pacific/Apia",
	} {
		loc := zone(t, name)
		for kind, window := range calendars {
			w := window(loc)
			start, end := w.Span(time.Date(2010, 1, 1, 12, 0, 0, 0, loc))
			for start.Year() < 2030 {
				length := end.Sub(start)
				if kind == "day" && (length < 22*time.Hour || length > 26*time.Hour) {
					t.Errorf("%s: the day from %v has %v", name, start.In(loc), length)
				}
				for _, at := range []time.Time{start, start.Add(30 * time.Minute), start.Add(time.Hour), start.Add(length / 2), end.Add(-time.Hour), end.Add(-1)} {
					if s, e := w.Span(at); !s.Equal(start) || !e.Equal(end) {
						t.Fatalf("%s in %s: Span(%v) = %v, %v, want %v, %v", kind, name, at.In(loc), s.In(loc), e.In(loc), start.In(loc), end.In(loc))
					}
				}
				if before := start.Add(-1).In(loc).Format(time.DateOnly); kind == "day" && before >= start.In(loc).Format(time.DateOnly) {
					t.Errorf("%s: the day from %v does not begin with its date", name, start.In(loc))
				}
				next, after := w.Span(end)
				if !next.Equal(end) || !after.After(next) {
					t.Fatalf("%s in %s: after %v comes %v", kind, name, end.In(loc), next.In(loc))
				}
				start, end = next, after
			}
		}
	}
}

// The first three hours of a day are there twice, and it begins with the first of them.
func TestDayBeginsWithTheFirstMidnight(t *testing.T) {
	loc := zone(t, "Antarctica/Casey") // UTC+11, and from 02:00 on 5 March UTC+8
	start, end := budget.Day(loc).Span(time.Date(2010, 3, 5, 12, 0, 0, 0, loc))
	if want := time.Date(2010, 3, 4, 13, 0, 0, 0, time.UTC); !start.Equal(want) || end.Sub(start) != 27*time.Hour {
		t.Errorf("Span = %v, %v, want 27 h from %v", start, end, want)
	}
}

func TestWindowsWithoutCalendar(t *testing.T) {
	at := time.Date(2026, 3, 29, 12, 34, 56, 789, time.UTC)
	until := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	if in := budget.Life(until.Add(7).In(zone(t, "Asia/Kolkata"))); in != budget.Life(until) {
		t.Errorf("Life in another zone and some nanoseconds later = %+v, want the same window", in)
	}
	for _, test := range []struct {
		window     budget.Window
		start, end string
	}{
		{budget.Minute(), "2026-03-29T12:34:00Z", "2026-03-29T12:35:00Z"},
		{budget.Rolling24h(), "2026-03-28T12:00:00Z", "2026-03-29T13:00:00Z"},
		{budget.Life(until), "1970-01-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{budget.Life(time.Time{}), "1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z"},
	} {
		start, end := test.window.Span(at.In(zone(t, "Asia/Kolkata")))
		if s, e := start.Format(time.RFC3339Nano), end.Format(time.RFC3339Nano); s != test.start || e != test.end {
			t.Errorf("%v: Span = %s, %s, want %s, %s", test.window, s, e, test.start, test.end)
		}
	}
}

func TestParseWindow(t *testing.T) {
	for _, test := range []struct{ name, zone, want string }{
		{"minute", "", "minute"},
		{"day", "", "day"},
		{"day", "UTC", "day"},
		{"week", "Europe/Berlin", "week@Europe/Berlin"},
		{"month", "America/New_York", "month@America/New_York"},
		{"rolling_24h", "", "rolling_24h"},
		{"rolling_24h", "Europe/Berlin", "rolling_24h"},
		{"day", "Local", `error: zone "Local": must be the name of a time zone`},
		{"day", "Europe/Nowhere", "error: must be the name of a time zone"},
		{"life", "UTC", `error: window "life": must be minute, day`},
		{"minutes", "", "error: must be minute, day"},
		{"min", "", "error: must be minute, day"},
		{"", "", "error: must be minute, day"},
		{"Day", "", "error: must be minute, day"},
	} {
		w, err := budget.ParseWindow(test.name, test.zone)
		got := w.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if part, isError := strings.CutPrefix(test.want, "error: "); got != test.want && !(isError && err != nil && strings.Contains(got, part)) {
			t.Errorf("ParseWindow(%q, %q) = %s, want %s", test.name, test.zone, got, test.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"
)

// contestant does one unit of work; n counts up.
type contestant struct {
	name string
	work func(n int) error

	// cores is what it may use, all if zero. The collector works beside the
	// program: on a core that it leaves idle it would cost nothing.
	cores int

	// warm is how many units of work come before the first pass, and are then counted
	// for the allocations; distinct if zero. It is set where a unit is long.
	warm int
}

// result is what interleaved passes have shown of one contestant.
type result struct {
	name               string
	median, low, high  float64 // ratio to the first contestant of its group, with its quartiles
	least, most        float64 // of the medians of the passes: the range of repeats
	allocations, bytes float64 // of one unit of work
}

// piece is the length of one burst. A pass has several of each contestant.
const piece = 8 * time.Millisecond

// race measures the contestants in turn, pass by pass. The first is the floor: each
// burst of another is between two bursts of it, because the load of other programs
// changes within milliseconds. length is the time of one contestant in one pass.
func race(contestants []contestant, passes int, length time.Duration) ([]result, error) {
	results := make([]result, len(contestants))
	for n, c := range contestants {
		results[n].name = c.name
		before := new(runtime.MemStats)
		runs := cmp.Or(c.warm, distinct)
		for i := range 2 * runs {
			if i == runs { // warm
				runtime.ReadMemStats(before)
			}
			if err := c.work(i); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		after := new(runtime.MemStats)
		runtime.ReadMemStats(after)
		results[n].allocations = float64(after.Mallocs-before.Mallocs) / float64(runs)
		results[n].bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(runs)
	}
	ratios, medians := make([][]float64, len(contestants)), make([][]float64, len(contestants))
	next := make([]int, len(contestants)) // unit of work, so that each takes its turn
	for range passes {
		for n := 1; n < len(contestants); n++ {
			pass, err := pairs(contestants[0], contestants[n], &next[0], &next[n], length)
			if err != nil {
				return nil, err
			}
			ratios[n], medians[n] = append(ratios[n], pass...), append(medians[n], result{}.spread(pass).median)
		}
	}
	results[0].median, results[0].low, results[0].high, results[0].least, results[0].most = 1, 1, 1, 1, 1
	for n := 1; n < len(results); n++ {
		results[n] = results[n].spread(ratios[n])
		results[n].least, results[n].most = slices.Min(medians[n]), slices.Max(medians[n])
	}
	return results, nil
}

// pairs returns the ratios of the bursts of c to the bursts of the floor beside them.
func pairs(floor, c contestant, atFloor, at *int, length time.Duration) ([]float64, error) {
	runtime.GC() // of what the one before has left
	one := min(piece, length)
	before, err := floor.burst(one, atFloor)
	if err != nil {
		return nil, err
	}
	var ratios []float64
	for range max(1, length/one) {
		took, err := c.burst(one, at)
		if err != nil {
			return nil, err
		}
		after, err := floor.burst(one, atFloor)
		if err != nil {
			return nil, err
		}
		ratios = append(ratios, 2*took/(before+after))
		before = after
	}
	return ratios, nil
}

// spread returns r with the median, the quartiles and the range of ratios.
func (r result) spread(ratios []float64) result {
	slices.Sort(ratios)
	last := len(ratios) - 1
	r.low, r.median, r.high = ratios[last/4], ratios[(last+1)/2], ratios[last-last/4]
	r.least, r.most = ratios[0], ratios[last]
	return r
}

// perSecond turns ratios of time into ratios of units per second.
func (r result) perSecond() result { return r.under(1) }

// under returns r with n over each ratio.
func (r result) under(n float64) result {
	r.median, r.low, r.high, r.least, r.most = n/r.median, n/r.high, n/r.low, n/r.most, n/r.least
	return r
}

// useCPUTime makes burst count the processor time of the process: see the flag -cpu.
var useCPUTime bool

// burst works for about the given time, from unit *at on, and returns nanoseconds for
// one unit.
func (c contestant) burst(length time.Duration, at *int) (float64, error) {
	if c.cores > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.cores))
	}
	start, used, n := time.Now(), cpuTime(), 0
	units := 16 // between two looks at the clock
	if c.warm > 0 {
		units = 1
	}
	for {
		for range units {
			if err := c.work(*at); err != nil {
				return 0, fmt.Errorf("%s: %w", c.name, err)
			}
			n++
			*at++
		}
		if took := time.Since(start); took >= length {
			// What several cores do, or an engine, is not the time of one core here.
			if useCPUTime && c.cores == 0 && c.warm == 0 {
				took = cpuTime() - used
			}
			return float64(took.Nanoseconds()) / float64(n), nil
		}
	}
}

// sink is a response that goes nowhere.
type sink struct {
	header http.Header
	status int
	_      [64]byte // cores that write to one each must not fight over a cache line
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// serving makes a contestant of a handler that must answer 200.
func serving(name string, h http.Handler, list []*http.Request) contestant {
	w := &sink{header: make(http.Header)}
	return contestant{name: name, work: func(n int) error {
		w.status = 0
		h.ServeHTTP(w, list[n%len(list)])
		if w.status != http.StatusOK {
			return fmt.Errorf("answered %d", w.status)
		}
		return nil
	}}
}

// ok is the handler behind every check.
var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

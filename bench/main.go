// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	passes := flag.Int("passes", 10, "interleaved passes")
	burst := flag.Duration("burst", 50*time.Millisecond, "length of one pass of one contestant, in bursts of 8 ms")
	write := flag.Bool("write", false, "replace the results in README.md and the chart in ../docs/")
	var e engines
	flag.StringVar(&e.redis, "redis", "", "`URL` of a Redis server; its store of used proofs is measured too")
	flag.StringVar(&e.postgres, "postgres", "", "`URL` of an empty Postgres database, likewise")
	flag.BoolVar(&useCPUTime, "cpu", false, "count the processor time of this process, for a machine that is in use")
	bound := flag.Bool("bound", false, "measure sender-constrained tokens and the stores of used proofs only")
	spend := flag.Bool("spend", false, "measure metered streams and the ledger only")
	flag.Parse()
	var err error
	switch {
	case *bound:
		err = runBound(*passes, *burst, e, os.Stdout)
	case *spend:
		err = runSpend(*passes, *burst, e, os.Stdout)
	default:
		err = run(*passes, *burst, *write, e, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// algorithms of the columns.
var algorithms = []string{"HS256", "RS256", "PS256", "ES256", "EdDSA"}

func run(passes int, burst time.Duration, write bool, e engines, out io.Writer) error {
	tokens := make(map[string][]result)
	for _, algorithm := range algorithms {
		fmt.Fprintf(os.Stderr, "measuring %s\n", algorithm)
		results, err := tokenRace(algorithm, passes, burst)
		if err != nil {
			return fmt.Errorf("%s: %w", algorithm, err)
		}
		tokens[algorithm] = results
	}
	fmt.Fprintln(os.Stderr, "measuring the other paths")
	paths, err := races(slices.Concat(commonPaths, growthPaths, boundPaths), passes, burst)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring a server under load")
	servers, err := serverRaces(passes, burst)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring the stores of used proofs")
	replays, err := replayRaces(e, passes, burst)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring streams and the ledger")
	var spend strings.Builder
	if err := runSpend(passes, burst, e, &spend); err != nil {
		return err
	}
	report := tokenTable(tokens) + "\n" + pathTable(paths) + "\n" + serverTable(servers) + "\n" + replayTable(replays) + "\n" + spend.String()
	if _, err := io.WriteString(out, report); err != nil || !write {
		return err
	}
	return errors.Join(
		replaceResults("README.md", report),
		os.WriteFile("../docs/ratios.svg", []byte(chart(tokens["RS256"])), 0o644),
	)
}

// runBound measures what is about sender-constrained tokens.
func runBound(passes int, burst time.Duration, e engines, out io.Writer) error {
	paths, err := races(boundPaths, passes, burst)
	if err != nil {
		return err
	}
	replays, err := replayRaces(e, passes, burst)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, pathTable(paths)+"\n"+replayTable(replays))
	return err
}

// runSpend measures metered streams and the ledger.
func runSpend(passes int, burst time.Duration, e engines, out io.Writer) error {
	streams, err := streamRaces(passes, burst)
	if err != nil {
		return err
	}
	ledgers, err := ledgerRaces(e, passes, burst)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, streamTable(streams)+"\n"+ledgerTable(ledgers))
	return err
}

// tokenRace is the bare check against whole requests through every peer.
func tokenRace(algorithm string, passes int, burst time.Duration) ([]result, error) {
	m, err := newMaterial(algorithm)
	if err != nil {
		return nil, err
	}
	floor, err := signatureFloor(m)
	if err != nil {
		return nil, err
	}
	contestants := []contestant{{name: "bare signature check", work: floor}}
	list := requests(m.tokens)
	for _, p := range peers() {
		h, err := p.protect(m, ok)
		if errors.Is(err, errUnsupported) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		contestants = append(contestants, serving(p.name, h, list))
	}
	return race(contestants, passes, burst)
}

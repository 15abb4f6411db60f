// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	serverClients = 16     // connections
	serverRate    = 20_000 // requests a second, for the latency
)

// serverResult is a server behind a check against the same one without.
type serverResult struct {
	name             string
	throughput, tail result
}

// serverRaces is a server that says hello, with an RS256 token that it has seen before.
// Clients and servers are in this process, on the loopback interface.
func serverRaces(passes int, length time.Duration) ([]serverResult, error) {
	m, err := newMaterial("RS256")
	if err != nil {
		return nil, err
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })
	seen, err := protect(m, 10_000, hello)
	if err != nil {
		return nil, err
	}
	byHand, err := golangJWT(m, hello)
	if err != nil {
		return nil, err
	}
	plain, err := dial(hello, m.tokens)
	if err != nil {
		return nil, err
	}
	defer plain.close()
	var all []serverResult
	for _, one := range []struct {
		name string
		h    http.Handler
	}{{"Gatehouse, token seen before", seen}, {"golang-jwt v5", byHand}} {
		r, err := serverRace(one.name, plain, one.h, m.tokens, passes, length)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func serverRace(name string, plain *load, h http.Handler, tokens []string, passes int, length time.Duration) (serverResult, error) {
	checked, err := dial(h, tokens)
	if err != nil {
		return serverResult{}, err
	}
	defer checked.close()
	results, err := race([]contestant{
		{name: "floor", warm: 2, work: plain.busy}, {name: name, warm: 2, work: checked.busy},
	}, passes, length)
	if err != nil {
		return serverResult{}, err
	}
	tail, err := tailRace(plain, checked, passes, length)
	return serverResult{name, results[1].perSecond(), tail}, err
}

// tailRace is the tail latency of one server against that of the plain one, each time
// between two tails of the plain one, as in pairs.
func tailRace(plain, checked *load, passes int, length time.Duration) (result, error) {
	var all, medians []float64
	before, err := plain.tail(2 * length)
	for range passes {
		var ratios []float64
		for range 10 {
			took, err1 := checked.tail(2 * length)
			after, err2 := plain.tail(2 * length)
			if err := errors.Join(err, err1, err2); err != nil {
				return result{}, err
			}
			ratios = append(ratios, 2*float64(took)/float64(before+after))
			before = after
		}
		all, medians = append(all, ratios...), append(medians, result{}.spread(ratios).median)
	}
	r := result{}.spread(all)
	r.least, r.most = slices.Min(medians), slices.Max(medians)
	return r, nil
}

// load are clients that send requests to one server and do as little else as possible.
type load struct {
	server  *httptest.Server
	clients [serverClients]client
	texts   []string // of the requests
}

type client struct {
	net.Conn
	response *bufio.Reader
}

func dial(h http.Handler, tokens []string) (*load, error) {
	l := &load{server: httptest.NewServer(h)}
	for _, token := range tokens {
		l.texts = append(l.texts, "GET /hello HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1\r\nAccept: */*\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	}
	for i := range l.clients {
		conn, err := net.Dial("tcp", l.server.Listener.Addr().String())
		if err != nil {
			return nil, err
		}
		l.clients[i] = client{conn, bufio.NewReader(conn)}
	}
	return l, nil
}

func (l *load) close() {
	for i := range l.clients {
		_ = l.clients[i].Close()
	}
	l.server.Close()
}

// send sends one request and reads the response, whose status must be 200.
func (c *client) send(request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	status, err := c.response.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return errors.New("answered " + strings.TrimSpace(status))
	}
	for {
		line, err := c.response.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 { // the end of the header
			_, err = c.response.Discard(len("hello\n"))
			return err
		}
	}
}

// each has every client work at the same time.
func (l *load) each(work func(i int, c *client) error) error {
	var group sync.WaitGroup
	errs := make([]error, serverClients)
	for i := range l.clients {
		group.Go(func() { errs[i] = work(i, &l.clients[i]) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// busy has every client send some requests, one after the other.
func (l *load) busy(n int) error {
	const some = 8
	return l.each(func(i int, c *client) error {
		for k := range some {
			if err := c.send(l.texts[((n*serverClients+i)*some+k)%len(l.texts)]); err != nil {
				return err
			}
		}
		return nil
	})
}

// tail returns the 99th percentile of the latency at serverRate. The latency begins
// when a request is due, also if the client is still busy with the one before.
func (l *load) tail(length time.Duration) (time.Duration, error) {
	requests := max(1, int(length.Seconds()*serverRate)/serverClients)
	const period = time.Second * serverClients / serverRate
	var all [serverClients][]time.Duration
	start := time.Now().Add(time.Millisecond)
	err := l.each(func(i int, c *client) error {
		for k := range requests {
			due := start.Add(time.Duration(k)*period + time.Duration(i)*period/serverClients)
			<-time.After(time.Until(due))
			if err := c.send(l.texts[(k*serverClients+i)%len(l.texts)]); err != nil {
				return err
			}
			all[i] = append(all[i], time.Since(due))
		}
		return nil
	})
	latencies := slices.Sorted(slices.Values(slices.Concat(all[:]...)))
	return latencies[len(latencies)*99/100], err
}

// serverTable has a row for each server.
func serverTable(results []serverResult) string {
	var b strings.Builder
	b.WriteString("| server, RS256 | requests per second, over those of the plain server (target 0.92) | p99 at 20,000 a second, over that of the plain server (target 1.15) |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.throughput.ratio(), r.tail.ratio())
	}
	return b.String()
}

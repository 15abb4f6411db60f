// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network in memory with one listener for each address.
type pipes map[string]*pipeListener

type pipeListener struct {
	connections chan net.Conn
	closed      chan struct{}
}

// Accept implements [net.Listener].
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

// Addr implements [net.Listener].
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// serve runs a server at an address until the test ends.
func (p pipes) serve(t *testing.T, address string, server *http.Server) {
	t.Helper()
	listener, ended := &pipeListener{make(chan net.Conn), make(chan struct{})}, make(chan error, 1)
	p[address] = listener
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v, want %v", err, http.ErrServerClosed)
		}
	})
}

func (p pipes) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case p[address].connections <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// TestDisconnectEndsTheUpstreamCall: after a client's disconnect the call of the upstream
// ends within 2.5 s.
func TestDisconnectEndsTheUpstreamCall(t *testing.T) {
	const atMost = 2500 * time.Millisecond
	for _, test := range []struct{ name, path, body, event string }{
		{"before the response", chatRoute, chatStream, ""},
		{"chat", chatRoute, chatStream, `{"choices":[{"index":0,"delta":{"content":"x"}}]}`},
		{"messages", messagesRoute, messageStream, `{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inNetwork(t, func(t *testing.T, network pipes) {
				arrived, ended := make(chan struct{}), make(chan struct{})
				network.serve(t, "127.0.0.1:9000", newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					close(arrived)
					if test.event != "" {
						w.Header().Set("Content-Type", "text/event-stream")
						_, _ = io.WriteString(w, "data: "+test.event+"\n\n")
						_ = http.NewResponseController(w).Flush()
					}
					<-r.Context().Done()
					close(ended)
				})))
				s := network.start(t, configure(t, "http://127.0.0.1:9000", object{
					"budgets": []object{{"per": "tenant", "window": "month", "max_tokens": 100000}},
				}))

				ctx, disconnect := context.WithCancel(t.Context())
				defer disconnect()
				r := s.request(ctx, "ci", http.MethodPost, test.path, test.body)
				client := network.transport()
				defer client.CloseIdleConnections()
				go func() {
					response, err := client.RoundTrip(r)
					if err != nil {
						return // the client has disconnected before
					}
					defer response.Body.Close()
					_, _ = bufio.NewReader(response.Body).ReadString('\n')
					<-ctx.Done()
				}()
				<-arrived
				synctest.Wait() // until all wait for the client
				began := time.Now()
				disconnect()
				<-ended
				if took := time.Since(began); took > atMost {
					t.Errorf("the call of the upstream ends %v after the client's disconnect, want at most %v", took, atMost)
				}
			})
		})
	}
}

// inNetwork runs a test in a network of its own, with a clock that stands still while a
// goroutine can run: a time is what the gateway waits, on a machine of any speed. It
// replaces the default transport, which that of package upstream copies, so that the test
// cannot be parallel.
func inNetwork(t *testing.T, test func(t *testing.T, network pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := make(pipes)
		original, transport := http.DefaultTransport, network.transport()
		http.DefaultTransport = transport
		t.Cleanup(func() {
			transport.CloseIdleConnections()
			http.DefaultTransport = original
		})
		test(t, network)
	})
}

// start starts the app in the network.
func (p pipes) start(t *testing.T, settings object) *server {
	t.Helper()
	const address = "127.0.0.1:8000"
	config := must(readConfig(writeConfig(t, settings)))
	a := must(newApp(config, "http://"+address, slog.New(slog.DiscardHandler)))
	t.Cleanup(a.close)
	minted, err := a.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.serve(t, address, newServer(a.handler))
	s := &server{t: t, keys: make(map[string]string)}
	_, _ = s.stdout.Write([]byte(minted + "listening http://" + address + "\n"))
	s.listens()
	return s
}
